// For tests: reads EBML and ISO media files into plain trees. Knows nothing of how they were written.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace amphi::recording::test {

struct Node {
  std::string type;      // of EBML: the id in hex
  std::uint64_t offset;  // of its first byte
  ByteView data;
  bool unknown_size = false;
  std::vector<Node> children;

  const Node* find(const std::string& wanted) const {
    for (const Node& child : children) {
      if (child.type == wanted) return &child;
    }
    return nullptr;
  }
  const Node& get(const std::string& wanted) const {
    if (const Node* found = find(wanted)) return *found;
    throw std::runtime_error(type + " has no " + wanted);
  }
  std::vector<const Node*> all(const std::string& wanted) const {
    std::vector<const Node*> found;
    for (const Node& child : children) {
      if (child.type == wanted) found.push_back(&child);
    }
    return found;
  }
  std::uint64_t number(std::size_t at, std::size_t width) const {
    if (at + width > data.size()) throw std::runtime_error(type + " is too short");
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + width; ++i) value = value << 8 | static_cast<std::uint8_t>(data[i]);
    return value;
  }
  std::uint64_t number() const { return number(0, data.size()); }
  double floating() const { return std::bit_cast<double>(number(0, 8)); }
  std::string text() const { return std::string(as_text(data)); }
};

inline std::uint64_t vint(ByteView data, std::size_t& at, bool keep_marker) {
  const auto first = static_cast<std::uint8_t>(data[at]);
  const int width = std::countl_zero(first) + 1;
  if (width > 8 || at + static_cast<std::size_t>(width) > data.size())
    throw std::runtime_error("a vint that does not fit");
  std::uint64_t value = keep_marker ? first : first & ((1u << (8 - width)) - 1);
  for (int i = 1; i < width; ++i)
    value = value << 8 | static_cast<std::uint8_t>(data[at + static_cast<std::size_t>(i)]);
  at += static_cast<std::size_t>(width);
  return value;
}

inline std::vector<Node> parse_ebml(ByteView data, std::uint64_t base = 0) {
  static const std::string masters[] = {"1a45dfa3", "18538067", "114d9b74", "4dbb",     "1549a966", "1654ae6b", "ae",
                                        "e0",       "e1",       "1f43b675", "1c53bb6b", "bb",       "b7",
                                        "1043a770", "45b9",     "b6",       "80",       "1254c367", "7373",     "63c0", "67c8"};
  std::vector<Node> nodes;
  for (std::size_t at = 0; at < data.size();) {
    Node node;
    node.offset = base + at;
    char id[20];
    std::snprintf(id, sizeof id, "%llx", static_cast<unsigned long long>(vint(data, at, true)));
    node.type = id;
    const std::size_t size_at = at;
    std::uint64_t size = vint(data, at, false);
    node.unknown_size = at - size_at == 8 && size == 0x00ff'ffff'ffff'ffff;
    if (node.unknown_size) size = data.size() - at;
    if (size > data.size() - at) throw std::runtime_error("element " + node.type + " is cut");
    node.data = data.subspan(at, size);
    for (const std::string& master : masters) {
      if (node.type == master) node.children = parse_ebml(node.data, base + at);
    }
    at += size;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

inline std::vector<Node> parse_boxes(ByteView data, std::uint64_t base = 0) {
  static const std::string containers[] = {"moov", "trak", "mdia", "minf", "dinf",
                                           "stbl", "mvex", "moof", "traf", "mfra"};
  std::vector<Node> nodes;
  for (std::size_t at = 0; at < data.size();) {
    Node node{"file", base + at, data.subspan(at), false, {}};
    const std::uint64_t size = node.number(0, 4);
    if (size < 8 || size > data.size() - at) throw std::runtime_error("a box is cut");
    node.type = std::string(as_text(data.subspan(at + 4, 4)));
    node.data = data.subspan(at + 8, size - 8);
    for (const std::string& container : containers) {
      if (node.type == container) node.children = parse_boxes(node.data, base + at + 8);
    }
    at += size;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

inline Node tree(std::vector<Node> top) {
  return Node{"file", 0, {}, false, std::move(top)};
}

}  // namespace amphi::recording::test
