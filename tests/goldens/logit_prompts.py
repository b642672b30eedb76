# SPDX-License-Identifier: Apache-2.0
"""The 20 prompts of the logit goldens, written for them: 5 to 400 tokens; chat, prose, code, lists, other languages."""


def chat(*turns: str) -> str:
    """ChatML as the model's own template renders it, ready for the assistant's answer."""
    text = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    for i, turn in enumerate(turns):
        text += f"<|im_start|>{'assistant' if i % 2 else 'user'}\n{turn}<|im_end|>\n"
    return text + "<|im_start|>assistant\n"


SHORT = [
    "The capital of France is",
    "Once upon a time there lived",
    "1, 1, 2, 3, 5, 8, 13, 21,",
    "Sehr geehrte Damen und Herren, hiermit",
]

CHATS = [
    chat("What is gravity?"),
    chat("Name three rivers in Africa.", "The Nile, the Congo and the Niger.", "Which of them is the longest, and which sea does it reach?"),
    chat("I keep forgetting people's names at work. Could you give me a few tricks that do not feel awkward, and one sentence that I can "
         "say when I have already forgotten a name?"),
    chat("Write a short poem about a lighthouse keeper who is afraid of the dark.",
         "The lamp he lights is not for ships alone;\nit keeps the night from pressing on the stone.\nHe counts the beams, he hums against the sea,\n"
         "and tells the dark: as long as I can see.",
         "Lovely. Now change the last line so that the keeper is no longer afraid, and explain in two sentences what you changed and why."),
]

PROSE = [
    "The old mill at the end of the valley had not turned its wheel for thirty years when Marta bought it. The roof leaked, the millstones were "
    "cracked, and a family of owls had made the flour loft their home. She did not mind the owls. What she minded was the silence: a mill, she "
    "said, ought to rumble. So in the first spring she cleared the channel, stone by stone, until the brook remembered its old way and the "
    "water came running through the sluice, brown at first, then clear. The wheel groaned. It moved a hand's breadth, stopped, and moved again. "
    "By the evening half the village stood on the bridge to watch. Nobody had told them; they had heard it. The baker, who had bought his flour "
    "from the city since he was a young man, asked how long it would be until the stones were mended. Marta laughed and said that she would need "
    "a year, a good mason and more money than she had. The baker looked at the wheel for a while, and then he took off his "
    "cap, which nobody had ever seen him do, and said that money was a thing that one could talk about.\n\nThat summer the mason came from the other side of "
    "the mountain with two mules and a boy. He walked around the stones, knocked on them with a hammer and listened, as a doctor listens to a chest. "
    "One could be saved, he said; the other had better become a table. Marta asked what it would cost. He named a price, she named another, and they "
    "met where both of them had known that they would meet. In August the boy found something under the floor: a tin box with the account book of the last "
    "miller, wrapped in waxed cloth. Most of its pages were columns of numbers, sacks of rye and wheat, names of farmers long dead. But on the last page, "
    "in a careful hand, somebody had written a message for whoever would open the mill again. It said:",
    "Photosynthesis is the process by which plants, algae and some bacteria turn the energy of light into chemical energy. In the leaves of a "
    "plant it happens inside chloroplasts, small bodies that hold the green pigment chlorophyll. The process has two stages. In the first, light "
    "is absorbed and water is split; oxygen is set free, and energy is stored for a short time in two carrier molecules. In the second, which "
    "needs no light itself, this energy is spent to build sugar from carbon dioxide. The rate depends on several conditions:",
    "To whom it may concern,\n\nI am writing about order no. 48-2213 of 3 March, which reached me on 19 March with two of its five parts missing: "
    "the mounting bracket (item 2) and the spare filter (item 4). I have called your service line twice (on 20 and 24 March) and was told both times "
    "that somebody would call back; nobody has. Please either send the missing parts by 10 April or refund their price, $37.40, to the card that I "
    "paid with.\n\nYours sincerely,\n",
]

CODE = [
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return",
    "#include <algorithm>\n#include <cstdint>\n#include <vector>\n\n// A ring buffer of fixed size; push overwrites the oldest element.\ntemplate <class T>\nclass ring {\n"
    "public:\n  explicit ring(std::size_t size) : items_(size) {}\n\n  void push(T value) {\n    items_[next_] = std::move(value);\n    next_ = (next_ + 1) % items_.size();\n"
    "    count_ = std::min(count_ + 1, items_.size());\n  }\n\n  std::size_t size() const { return count_; }\n  bool full() const { return count_ == items_.size(); }\n\n"
    "  // The i-th element, 0 is the oldest.\n  const T& operator[](std::size_t i) const {\n    const auto first = full() ? next_ : 0;\n    return items_[(first + i) % items_.size()];\n  }\n\n"
    "private:\n  std::vector<T> items_;\n  std::size_t next_ = 0;\n  std::size_t count_ = 0;\n};\n\nint main() {\n  ring<int> last_three(3);\n  for (int i = 0; i < 10; ++i)\n    last_three.push(i);\n",
    "SELECT c.name, COUNT(o.id) AS orders, SUM(o.total) AS revenue\nFROM customers AS c\nLEFT JOIN orders AS o ON o.customer_id = c.id\nWHERE o.created_at >= '2024-01-01'\nGROUP BY",
    "{\n  \"name\": \"sensor-17\",\n  \"location\": {\"lat\": 52.5200, \"lon\": 13.4050},\n  \"readings\": [\n    {\"t\": \"2024-05-01T00:00:00Z\", \"celsius\": 11.2},\n"
    "    {\"t\": \"2024-05-01T01:00:00Z\", \"celsius\": 10.9},\n    {\"t\": \"2024-05-01T02:00:00Z\", \"celsius\": 10.4},\n    {\"t\": \"2024-05-01T03:00:00Z\",",
]

LISTS = [
    "Shopping list:\n- 2 kg potatoes\n- 6 eggs\n- 250 g butter\n- 1 l milk\n- salt\n\nRecipe for potato pancakes:\n1. Grate the potatoes and squeeze out the water.\n2. Mix with the eggs and a pinch of salt.\n3.",
    "| Planet | Distance from the Sun (AU) | Moons |\n|---|---|---|\n| Mercury | 0.39 | 0 |\n| Venus | 0.72 | 0 |\n| Earth | 1.00 | 1 |\n| Mars | 1.52 |",
]

OTHER_LANGUAGES = [
    "Der Zug nach München fährt heute leider nicht von Gleis 7, sondern von Gleis 12 ab. Wir bitten die Fahrgäste um Entschuldigung. "
    "Le petit chat noir dort sur le canapé, et la pluie tombe doucement sur le toit. Mañana por la mañana iremos al mercado para comprar",
    "天气很好，我们去公园散步吧。春の朝、庭に小さな鳥が来て、 Сегодня хорошая погода, и мы идём гулять в парк. مرحبا بكم في مدينتنا الجميلة 🌍🚀 안녕하세요, 반갑습니다.",
]

REPEATED = ["yes no " * 60 + "yes"]

PROMPTS = SHORT + CHATS + PROSE + CODE + LISTS + OTHER_LANGUAGES + REPEATED
assert len(PROMPTS) == 20
