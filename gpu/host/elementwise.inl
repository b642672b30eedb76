// SPDX-License-Identifier: Apache-2.0
// Norms, gates, and the rounding of activations. Part of kernels.inl.

/// Calls f(c, n) for c = 0, 16, … with n elements left of it, 16 but for the last.
template <class Function>
inline void for_each_sixteen(std::uint32_t elements, Function f) {
  std::uint32_t c = 0;
  for (; c + 16 <= elements; c += 16)
    f(c, 16u);
  if (c < elements)
    f(c, elements - c);
}

struct sixteen {
  fvec v[parts];
};

/// The first n of 16 elements, then zeros.
inline sixteen load_sixteen(const float* p, std::uint32_t n) {
  sixteen result{};
  if (n == 16)
    __builtin_memcpy(&result, p, sizeof result);
  else
    __builtin_memcpy(&result, p, n * sizeof(float));
  return result;
}

inline void store_sixteen(float* p, const sixteen& v, std::uint32_t n) {
  if (n == 16)
    __builtin_memcpy(p, &v, sizeof v);
  else
    __builtin_memcpy(p, &v, n * sizeof(float));
}

void rms_norm(const float* x, const float* weight, float* out, std::uint32_t columns, std::uint32_t padded,
              float epsilon) {
  fvec sums[parts] = {};
  for_each_sixteen(padded, [&](std::uint32_t c, std::uint32_t n) {
    const sixteen xs = load_sixteen(x + c, n);
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      sums[i] = madd(xs.v[i], xs.v[i], sums[i]);
  });
  const float mean = reduce_add(sums) / static_cast<float>(columns);
  const float scale = 1.0f / __builtin_sqrtf(mean + epsilon);
  for_each_sixteen(padded, [&](std::uint32_t c, std::uint32_t n) {
    sixteen xs = load_sixteen(x + c, n);
    const sixteen weights = load_sixteen(weight + c, n);
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i)
      xs.v[i] = xs.v[i] * scale * weights.v[i];
    store_sixteen(out + c, xs, n);
  });
}

void swiglu(float* gate, const float* up, std::uint32_t padded) {
  for (std::uint32_t c = 0; c < padded; c += width) {
    const fvec g = load<fvec>(gate + c);
    store(gate + c, g / (1.0f + exponential(-g)) * load<fvec>(up + c));
  }
}

using dvec = double __attribute__((vector_size(2 * vector_bytes))); // as many lanes as fvec

/// x / 2 × (1 + tanh u) with u = √(2/π) × (x + 0.044715 x³) is x / (1 + e^-2u). Far left the result is as small as the
/// exponential is large, so that an error of 2u, which grows with it, would be one of the result: 2u is a double, and
/// what its float misses corrects the exponential. The quotient is one of doubles, so that little more than the
/// exponential's own error remains.
void geglu(float* gate, const float* up, std::uint32_t padded) {
  constexpr double linear = -1.5957691216057308, cubic = -0.07135481627260025; // -2 √(2/π), that times 0.044715
  for (std::uint32_t c = 0; c < padded; c += width) {
    const dvec g = __builtin_convertvector(load<fvec>(gate + c), dvec);
    const dvec exact = g * (linear + cubic * (g * g));
    const fvec rounded = __builtin_convertvector(exact, fvec);
    // Beyond ±100 the exponential is its bound, and infinities have no difference.
    const auto inside = reinterpret_cast<uvec>((rounded > -100.0f) & (rounded < 100.0f));
    const fvec difference = __builtin_convertvector(exact - __builtin_convertvector(rounded, dvec), fvec);
    const fvec missed = as_float(reinterpret_cast<uvec>(difference) & inside);
    const dvec e = __builtin_convertvector(exponential(rounded), dvec) * (1.0 + __builtin_convertvector(missed, dvec));
    const dvec result = g / (1.0 + e) * __builtin_convertvector(load<fvec>(up + c), dvec);
    store(gate + c, __builtin_convertvector(result, fvec));
  }
}

using half_ivec = std::int16_t __attribute__((vector_size(vector_bytes / 2)));

/// Lane i of the result is lane i + Distance, beyond the last lane the first ones.
template <int Distance>
inline ivec rotated(ivec v) {
  uvec from;
#pragma GCC unroll 16
  for (int i = 0; i < width; ++i)
    from[i] = static_cast<std::uint32_t>((i + Distance) % width);
  return __builtin_shuffle(v, from);
}

/// f of v's lanes two by two, of the results …: in all lanes.
template <int Distance = width / 2, class Function>
inline ivec reduced(ivec v, Function f) {
  if constexpr (Distance == 0)
    return v;
  else
    return reduced<Distance / 2>(f(v, rotated<Distance>(v)), f);
}

inline std::int32_t add_lanes(ivec v) {
  return reduced(v, [](ivec a, ivec b) { return a + b; })[0];
}

/// The largest magnitude's bits of 32 floats; those of numbers that are not finite are the largest of all.
inline std::int32_t largest_bits(const float* x) {
  const auto larger = [](ivec a, ivec b) { return a > b ? a : b; };
  ivec most = {};
#pragma GCC unroll 8
  for (int i = 0; i < 2 * parts; ++i)
    most = larger(most, load<ivec>(x + i * width) & 0x7fffffff);
  return reduced(most, larger)[0];
}

void quantise(const float* x, std::uint32_t columns, std::uint32_t tokens, const quantised_rows& out) {
  // Adding it to a float below 2^22 rounds that, to even, to an integer in the low mantissa bits.
  constexpr float rounder = 0x1.8p23f;
  constexpr std::int32_t rounder_bits = 0x4b400000;
  constexpr float quant_max = activation_quant_max;
  std::int16_t* quants = out.quants;
  for (std::uint32_t b = 0; b < columns / quant_columns; ++b, x += quant_columns) {
    const std::int32_t bits = largest_bits(x);
    const bool finite = bits < 0x7f800000;
    float most;
    __builtin_memcpy(&most, &bits, sizeof most);
    const bool usual = finite && most >= 0x1p-100f;
    activation_block block;
    block.scale = usual ? most / quant_max : finite ? 0.0f : __builtin_nanf("");
    const fvec factor = broadcast(usual ? quant_max / most : 0.0f);
    // Where it is not usual the quants are 0, whatever 0 times x is.
    const uvec kept = (usual ? 0xffffffffu : 0u) + uvec{};
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      ivec sums = {};
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i, quants += width) {
        const fvec rounded = load<fvec>(x + h * 16 + i * width) * factor + rounder;
        const ivec q = reinterpret_cast<ivec>((reinterpret_cast<uvec>(rounded) - rounder_bits) & kept);
        sums += q;
        const auto narrow = __builtin_convertvector(q, half_ivec);
        __builtin_memcpy(quants, &narrow, sizeof narrow);
      }
      block.half_sums[h] = add_lanes(sums);
    }
    block.sum = block.scale * static_cast<float>(block.half_sums[0] + block.half_sums[1]);
    out.blocks[b] = block;
  }
  quant_products<format_q8_0>::arrange(out.quants, columns, tokens);
}
