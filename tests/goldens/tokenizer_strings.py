# SPDX-License-Identifier: Apache-2.0
"""The strings whose ids are golden: hard ones written by hand, and kinds that are drawn by a seed."""
import unicodedata

from splitmix64 import Splitmix64

HARD = [
    # Contractions, in the cases and apostrophes that a pattern may or may not know.
    "I'm, you're, we've, they'll, he'd, it's, don't", "I'M, YOU'RE, WE'VE, THEY'LL, HE'D, IT'S, DON'T",
    "it\u2019s and don\u2019t", "'s't're've'm'll'd", "''s '''t", "rock 'n' roll 's", "'", "''", "' s", "a'b'c'd",
    # Whitespace before, between, behind; of every kind.
    "a ", "a  ", " a", "  a", "\ta", "a\t", "a\tb", "a\t\tb", "a \tb", "a\t b", "\r\n", "a\r\nb\r\n\r\nc", "\n a", " \n a",
    "a\n", "a \n", "a \n\n b", "a\u00a0b", "a\u3000b", "\u3000\u3000a", "a\u2003\u2003b", "a\u2028b\u2029c", "a\u0085b", "\u200ba\u200b",
    "\ufeffbyte order mark", "\x0b\x0c", "a" + " " * 17 + "b", " " * 64, "\n" * 33, "\t" * 20 + "x", " \n" * 12,
    # Digits, signs, and letters that are neither.
    "1", " 1", "  1", "12a34", "1,234,567.89", "3.14e-10", "0x1F", "\u00bd\u00b2\u2165\u0663\u0967\u4e09", "2\u00b3=8", "1st 2nd",
    "20240229T235959Z", "+49 (0)30 1234-5678", "100%", "$5.00", "\u20ac3", "-1--2---3",
    # Punctuation and code.
    "...", "\u2026", "!?!?", "a.b.c", "a_b__c", "--flag=value", "x=[i**2 for i in range(10)]", "#include <vector>\n\nint main() {\n\treturn 0;\n}\n",
    "{\"k\": [1, 2, {\"n\": null}]}", "<a href=\"x\">y</a>", "C:\\Users\\me", "/usr/local/bin", "https://example.org/a?b=c&d=%20#e",
    # Scripts; marks before and after composition; emoji that are many code points.
    "\u00e9 e\u0301", "n\u0303o\u0308", "\u1e9b\u0323", "\uac00\u1100\u1161", "na\u00efve caf\u00e9", "Stra\u00dfe", "\u0130stanbul \u0131",
    "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8", "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\uc548\ub155\ud558\uc138\uc694", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u05e9\u05dc\u05d5\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0", "\U0001d518\U0001d52b\U0001d526",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "1\ufe0f\u20e3",
    # The marks of the vocabularies' own spelling, as plain text.
    "\u2581", "a\u2581b", "\u2581\u2581", "\u0120hello", "\u010a", "\u00c4\u00a0", "<0x0A>", "<0x20>a<0xFF>", "\ufffd",
    # Special tokens and their look-alikes, as plain text.
    "<|im_start|>user\nhi<|im_end|>", "<|endoftext|>", "<|im_start", "|im_end|>", "<s>", "</s>", "<unk>", " <s> ", "[INST]", "<|IM_START|>",
    # Long pieces.
    "a" * 300, "ab" * 150, "Donaudampfschifffahrtsgesellschaftskapit\u00e4nsm\u00fctze", "=" * 100, "\U0001f600" * 20, "x" + "\u0301" * 30,
    "\x00", "a\x00b", "\x01\x02\x1b[0m", "\x7f",
]

WORDS = """the a of and to in is that it was for on are as with his they at be this from have or by one had not but what all
were when we there can an your which their said if do will each about how up out them then she many some so these would other into
has more her two like him see time could no make than first been its who now people my made over did down only way find use may water
long little very after words called just where most know get through back much before go good new write our used me man too any day
same right look think also around another came come work three word must because does part even place well such here take why things
help put years different away again off went old number great tell men say small every found still between name should mr home big
give air line set own under read last never us left end along while might next sound below saw something thought both few those always
looked show large often together asked house world going want school important until form food keep children feet land side without
boy once animals life enough took sometimes four head above kind began almost live page got earth need far hand high year mother
light parts country father let night following picture being study second eyes soon times story boys since white days ever paper hard
near sentence better best across during today others however sure means knew try told young miles sun ways thing whole hear example
heard several change answer room sea against top turned learn point city play toward five using himself usually money seen car morning
transformer throughput quantisation latency asynchronous scheduler disaggregated tokenizer embedding gradient kernel""".split()
CODE = """def class return import from for while if else elif try except lambda None True self int float const auto void static struct
template typename std::vector std::string size_t uint32_t nullptr #include #define fn let mut impl pub match usize func package go
SELECT FROM WHERE console.log() => -> :: == != <= >= += -= *= /= && || ** // /* */ {} [] () ; : , . i j k n x y idx buf len ptr
foo_bar fooBar FooBar FOO_BAR __init__ 0 1 -1 0xFF 1e-5 "" '' `x` $x @x %d %s \\n \\t""".split(" ")
SCRIPTS = {
    "cjk": [(0x4E00, 0x9FA5), (0x3041, 0x3096), (0x30A1, 0x30FA), (0xAC00, 0xD7A3), (0xFF01, 0xFF5E)],
    "right_to_left": [(0x0621, 0x064A), (0x064B, 0x0652), (0x0660, 0x0669), (0x05D0, 0x05EA), (0x05B0, 0x05BC)],
    "indic": [(0x0904, 0x0939), (0x093E, 0x094D), (0x0966, 0x096F), (0x0E01, 0x0E3A), (0x0E40, 0x0E4E), (0x0985, 0x09A8)],
    "european": [(0x00C0, 0x00FF), (0x0100, 0x017F), (0x0391, 0x03C9), (0x0410, 0x044F), (0x1EA0, 0x1EF9), (0x10D0, 0x10F0)],
}
WHITESPACE = [" ", " ", " ", " ", "\n", "\n", "\t", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "\u2009", "\x0b", "\x0c"]
EMOJI = [0x1F600, 0x1F602, 0x1F60D, 0x1F621, 0x1F680, 0x1F389, 0x1F468, 0x1F469, 0x1F467, 0x1F466, 0x1F4BB, 0x1F33E, 0x2764, 0x2705, 0x26A0,
         0x1F44D, 0x1F64F, 0x1F3F3, 0x1F308, 0x1F1E9, 0x1F1EA, 0x1F1EF, 0x1F1F5, 0x1F999, 0x1F9D1]
LOOKALIKES = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<unk>", "<|im_start|", "<|im_end", "<|", "|>", "<|user|>",
              "<repo_name>", "<file_sep>", "<issue_start>", "<jupyter_code>", "<|IM_END|>", "< |im_end|>", "<0x41>", "[/INST]", "<pad>"]


class Draw:
    """Strings of a kind; the generator is the only source of chance."""

    def __init__(self, seed: int):
        self.rng = Splitmix64(seed)

    def pick(self, options):
        return options[self.rng.below(len(options))]

    def count(self, low: int, high: int) -> int:
        return low + self.rng.below(high - low + 1)

    def join(self, items, low, high, separators=(" ",)):
        parts = [self.pick(items)]
        for _ in range(self.count(low, high) - 1):
            parts += [self.pick(separators), self.pick(items)]
        return "".join(parts)

    def word(self):
        word = self.pick(WORDS)
        case = self.rng.below(10)
        word = word.upper() if case == 0 else word.capitalize() if case < 3 else word
        return word + self.pick(["'s", "n't", "'ll", "'re", "'ve", "'d", "\u2019s", "'S"]) if self.rng.below(12) == 0 else word

    def english(self):
        text = self.word()
        for _ in range(self.count(1, 8)):
            text += self.pick([" ", " ", " ", " ", " ", ", ", ". ", "; ", "-", " (", ") ", "! ", "?\n", " \"", "\" ", "...", " \u2014 "]) + self.word()
        return text + self.pick(["", ".", "!", "?", "...", " ", "\n"])

    def code(self):
        return self.join(CODE, 2, 9, (" ", " ", "", "", "\n", "\n    ", "\n\t", "\n        ", "  ")) + self.pick(["", ";", "\n", " {\n", ":"])

    def number(self):
        digits = lambda: "".join(str(self.rng.below(10)) for _ in range(self.count(1, 9)))
        return self.pick(["", " ", "-", "$", "a", "\n"]) + "".join(
            digits() + self.pick(["", ".", ",", " ", "  ", ":", "/", "e", "%", "x", "\u00b2", "\u00bd", " + "]) for _ in range(self.count(1, 4)))

    def whitespace(self):
        text = ""
        for _ in range(self.count(1, 4)):
            kind = self.pick(WHITESPACE)
            text += kind * self.count(1, 9) if self.rng.below(2) else "".join(self.pick(WHITESPACE) for _ in range(self.count(1, 6)))
            text += self.pick(["", self.word(), str(self.rng.below(100)), ",", "x"])
        return text

    def script(self, name):
        text = ""
        while len(text) < 3 or self.rng.below(6):
            low, high = self.pick(SCRIPTS[name])
            text += "".join(self.assigned(low, high) for _ in range(self.count(1, 5))) + self.pick(["", "", " ", "\u3001", "! ", "7"])
        return text[:40]

    def assigned(self, low, high):
        """A character of the range that Unicode 14 knows, and that is no surrogate or private use."""
        while True:
            c = chr(low + self.rng.below(high - low + 1))
            if unicodedata.category(c) not in ("Cn", "Cs", "Co"):
                return c

    def emoji(self):
        text = ""
        for _ in range(self.count(1, 4)):
            text += chr(self.pick(EMOJI)) + self.pick(["", "", "\ufe0f", "\U0001f3fb", "\U0001f3fe"])
            text += self.pick(["\u200d", "\u200d", "", " ", "ok "])
        return text

    def combining(self):
        text = ""
        for _ in range(self.count(2, 7)):
            text += self.pick("aeionuAEcs \u0915\u0e01\u0627\u4e00") + "".join(self.assigned(0x0300, 0x036F) for _ in range(self.rng.below(4)))
        return text

    def unicode(self):
        planes = [(0x80, 0x7FF), (0x800, 0xFFFD), (0x10000, 0x1FFFF), (0x20000, 0x2A6DF), (0x2000, 0x2BFF), (0x20, 0x7E)]
        return "".join(self.assigned(*self.pick(planes)) for _ in range(self.count(1, 12)))

    def control(self):
        codes = list(range(0x20)) + [0x7F] + list(range(0x80, 0xA0)) + [0xAD, 0x200B, 0x200E, 0x202E, 0x2060, 0xFEFF, 0xFFFD]
        return "".join(chr(self.pick(codes)) if self.rng.below(2) else self.pick(["a", " ", "7", "\u00e9", "the", "."]) for _ in range(self.count(1, 10)))

    def long_word(self):
        letters = self.pick(["abcdefghijklmnopqrstuvwxyz", "ACGT", "0123456789abcdef", "\u0430\u0431\u0432\u0433\u0434\u0435", "a", "-=_*", "aeiouAEIOU\u00e9"])
        return "".join(self.pick(letters) for _ in range(self.count(30, 110)))

    def lookalike(self):
        return self.join(LOOKALIKES, 1, 3, ("", " ", "\n", "user\n", " the ", "a"))

    def mixture(self):
        return "".join(self.draw(self.pick(list(KINDS))) for _ in range(2))[:90]

    def draw(self, kind):
        return self.script(kind) if kind in SCRIPTS else getattr(self, kind)()


# How many strings of each kind; 2,000 in all.
KINDS = {"english": 370, "code": 270, "number": 160, "whitespace": 220, "cjk": 130, "right_to_left": 80, "indic": 80, "european": 120,
         "emoji": 110, "combining": 90, "unicode": 130, "control": 80, "long_word": 40, "lookalike": 100}
MIXTURES = 20


def drawn_strings() -> list[str]:
    """2,000 different strings, none of them a hard one."""
    draw, seen, strings = Draw(20260), set(HARD), []
    for kind, count in list(KINDS.items()) + [("mixture", MIXTURES)]:
        wanted = len(strings) + count
        while len(strings) < wanted:
            text = draw.draw(kind)
            if text and text not in seen:
                seen.add(text)
                strings.append(text)
    return strings


def special_strings(tokens: list[str]) -> list[str]:
    """200 strings in which `tokens`, special ones of a vocabulary, are to be recognised."""
    draw, strings = Draw(20261), []
    chat = tokens[:3]
    while len(strings) < 200:
        shape = draw.rng.below(4)
        if shape == 0:
            text = "".join(f"<|im_start|>{draw.pick(['system', 'user', 'assistant'])}\n{draw.english()}<|im_end|>\n" for _ in range(draw.count(1, 2)))
        elif shape == 1:
            text = draw.join(tokens, 1, 4, ("", " ", "\n", "  ", "x", "\t"))
        elif shape == 2:
            text = draw.pick(["", " ", "\n", "  "]) + draw.draw(draw.pick(list(KINDS)))[:40] + draw.pick(["", " "]) + draw.pick(chat) + draw.pick(["", " ", "\n"]) + draw.draw(draw.pick(list(KINDS)))[:40]
        else:
            text = draw.join(tokens + LOOKALIKES, 2, 5, ("", " ", "\n", " the ", "|", "<"))
        if text not in strings:
            strings.append(text)
    return strings
