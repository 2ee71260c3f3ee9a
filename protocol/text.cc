#include "protocol/text.h"

#include <cstdint>

#include "base/check.h"

namespace taskfarm {
namespace {

constexpr absl::string_view kCut = "...";

// A character at the start of a text. 0 bytes: what is there is not UTF-8.
struct Character {
  size_t bytes = 0;
  uint32_t code = 0;
};

// `text` is not empty. Refuses what Unicode does: overlong forms, surrogates, beyond U+10FFFF.
Character FirstCharacter(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC0 || lead >= 0xF8 || text.size() < bytes) return {};
  uint32_t code = lead & (0x7F >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  if (code < kSmallest[bytes] || code > 0x10FFFF || surrogate) return {};
  return {bytes, code};
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

}  // namespace

bool IsOneLine(absl::string_view text) {
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    if (character.bytes == 0 || IsControl(character.code)) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

std::string OneLine(absl::string_view text, size_t max_bytes) {
  CHECK_GE(max_bytes, kCut.size());
  if (text.size() <= max_bytes && IsOneLine(text)) return std::string(text);
  std::string line;
  size_t cut = 0;  // the longest whole part of `line` that leaves room for kCut
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    const size_t bytes = character.bytes == 0 ? 1 : character.bytes;
    if (character.bytes == 0) {
      line += '?';
    } else if (IsControl(character.code)) {
      line += ' ';
    } else {
      line.append(text.data(), bytes);
    }
    if (line.size() > max_bytes) {
      line.resize(cut);
      line.append(kCut.data(), kCut.size());
      return line;
    }
    if (line.size() + kCut.size() <= max_bytes) cut = line.size();
    text.remove_prefix(bytes);
  }
  return line;
}

}  // namespace taskfarm
