// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "messages/ids.hpp"

// Identity of KV blocks: what is equal in every worker and in Dynamo's published scheme.
namespace troupe {

/// Seed of every hash without a salt.
constexpr std::uint64_t block_hash_seed = 1337;

/// Seed for blocks of one adapter and one tenant: the plain seed, plus XXH3-64 of the adapter's name with
/// seed 0, plus that of the tenant's salt with seed 1, modulo 2^64. Empty: none.
std::uint64_t salted_seed(std::string_view adapter, std::string_view tenant);

/// XXH3-64 of a block's tokens as little-endian u32.
std::uint64_t block_hash(std::span<const token_id> tokens, std::uint64_t seed = block_hash_seed);

/// Sequence hash of a block: XXH3-64, with the plain seed, of its predecessor's sequence hash and its own
/// block hash, each as little-endian u64. The first block's sequence hash is its block hash, in which
/// the salt is already.
std::uint64_t chain_block_hash(std::optional<std::uint64_t> parent, std::uint64_t block);

} // namespace troupe
