#include "testing/disk/emulated_disk.h"

#include <algorithm>

#include "base/digest.h"

namespace amphi::testing {
namespace {

constexpr std::size_t kSector = 512;

void put(Bytes& to, std::uint64_t at, ByteView data) {
  const std::size_t begin = static_cast<std::size_t>(at);
  if (to.size() < begin + data.size()) to.resize(begin + data.size());
  std::copy(data.begin(), data.end(), to.begin() + static_cast<std::ptrdiff_t>(begin));
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

tl::unexpected<Error> impossible(const std::string& what) { return fail(ErrorCode::invalid_state, what); }

}  // namespace

EmulatedDisk::File* EmulatedDisk::open_file(recording::FileNumber number) {
  const auto open = open_.find(number);
  return open != open_.end() && open->second ? &files_.at(numbers_.at(number)) : nullptr;
}

bool EmulatedDisk::takes(std::uint64_t bytes) {
  if (!room_) return true;
  const bool fits = bytes <= *room_;
  *room_ -= fits ? bytes : 0;
  return fits;
}

Result<void> EmulatedDisk::write(File& file, const recording::WriteFile& op) {
  const std::uint64_t more = op.offset + op.data.size() - std::min<std::uint64_t>(op.offset + op.data.size(), file.present.size());
  Bytes data = op.data;
  const std::uint64_t room = room_.value_or(more);
  const bool fits = takes(more);
  if (!fits) {
    data.resize(static_cast<std::size_t>(data.size() - (more - std::min(room, more))));
    room_ = 0;
  }
  put(file.present, op.offset, data);
  file.writes.push_back({op.offset, std::move(data)});
  if (!fits) return fail(ErrorCode::storage, "the disk is full");
  return {};
}

Result<void> EmulatedDisk::apply(const recording::FileOp& op) {
  const std::size_t now = operations_++;
  if (fail_from_ && now >= *fail_from_) return fail(ErrorCode::storage, "the disk fails");
  return carry_out(op);
}

Result<void> EmulatedDisk::carry_out(const recording::FileOp& op) {
  using Done = Result<void>;
  return std::visit(
      Overloaded{
          [&](const recording::OpenFile& o) -> Done {
            if (files_.contains(o.name) || numbers_.contains(o.file)) return impossible("opened twice: " + o.name);
            files_[o.name];
            numbers_[o.file] = o.name;
            open_[o.file] = true;
            return {};
          },
          [&](const recording::ReopenFile& o) -> Done {
            const auto found = files_.find(o.name);
            if (numbers_.contains(o.file)) return impossible("opened twice: " + o.name);
            if (found == files_.end() || found->second.present.size() < o.size) return fail(ErrorCode::storage, o.name + " is shorter than it was");
            found->second.present.resize(static_cast<std::size_t>(o.size));
            found->second.cut_to = o.size;
            numbers_[o.file] = o.name;
            open_[o.file] = true;
            return {};
          },
          [&](const recording::WriteFile& o) -> Done {
            File* file = open_file(o.file);
            if (file == nullptr || o.offset > file->present.size()) return impossible("a write that leaves a hole, or to no file");
            return write(*file, o);
          },
          [&](const recording::SyncFile& o) -> Done {
            File* file = open_file(o.file);
            if (file == nullptr) return impossible("sync of no file");
            file->durable = file->present;
            file->writes.clear();
            file->cut_to.reset();
            file->name_durable = true;
            ++syncs_;
            return {};
          },
          [&](const recording::CloseFile& o) -> Done {
            if (open_file(o.file) == nullptr) return impossible("close of no file");
            open_[o.file] = false;
            return {};
          },
          [&](const recording::HashFile& o) -> Done {
            if (!numbers_.contains(o.file)) return impossible("hash of no file");
            return {};
          },
          [&](const recording::ReplaceFile& o) -> Done {
            if (!takes(o.data.size())) return fail(ErrorCode::storage, "the disk is full");
            File& file = files_[o.name];
            file = File{o.data, o.data, {}, std::nullopt, true};
            ++syncs_;
            return {};
          },
          [&](const recording::RemoveFile& o) -> Done {
            files_.erase(o.name);
            ++syncs_;
            return {};
          },
      },
      op);
}

Result<Sha256Digest> EmulatedDisk::hash(recording::FileNumber file) const {
  const auto found = numbers_.find(file);
  if (found == numbers_.end()) return impossible("hash of no file");
  return sha256(files_.at(found->second).present);
}

void EmulatedDisk::cut_power(Random& random) {
  for (auto at = files_.begin(); at != files_.end();) {
    File& file = at->second;
    if (!file.name_durable && random.below(2) == 0) {
      at = files_.erase(at);
      continue;
    }
    Bytes left = std::move(file.durable);
    if (file.cut_to && random.below(2) == 0) left.resize(std::min(left.size(), static_cast<std::size_t>(*file.cut_to)));
    for (std::size_t i = file.writes.size(); i > 1; --i) std::swap(file.writes[i - 1], file.writes[random.below(i)]);
    for (const Write& write : file.writes) {
      const std::uint64_t fate = random.below(4);
      if (fate == 0) continue;
      if (fate == 1) {
        put(left, write.at, write.data);
        continue;
      }
      // Torn: some of its sectors, not always the first ones.
      for (std::size_t begin = 0; begin < write.data.size(); begin += kSector) {
        const std::size_t size = std::min(kSector, write.data.size() - begin);
        if (random.below(2) == 0) put(left, write.at + begin, ByteView(write.data).subspan(begin, size));
      }
    }
    file = File{left, left, {}, std::nullopt, true};
    ++at;
  }
  numbers_.clear();
  open_.clear();
  ++syncs_;
}

void EmulatedDisk::kill() {
  numbers_.clear();
  open_.clear();
}

std::uint64_t EmulatedDisk::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, file] : files_) bytes += file.present.size();
  return bytes;
}

std::optional<std::uint64_t> EmulatedDisk::size(const std::string& name) const {
  const auto found = files_.find(name);
  if (found == files_.end()) return std::nullopt;
  return found->second.present.size();
}

Result<Bytes> EmulatedDisk::read(const std::string& name, std::uint64_t at, std::uint64_t count) const {
  const auto found = files_.find(name);
  if (found == files_.end()) return fail(ErrorCode::not_found, name + " does not exist");
  const Bytes& data = found->second.present;
  if (at > data.size() || count > data.size() - at) return fail(ErrorCode::storage, name + " ends before");
  return to_bytes(ByteView(data).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)));
}

Bytes EmulatedDisk::content(const std::string& name) const {
  const auto found = files_.find(name);
  return found == files_.end() ? Bytes() : found->second.present;
}

const Bytes& EmulatedDisk::durable(const std::string& name) const {
  static const Bytes kNone;
  const auto found = files_.find(name);
  return found == files_.end() ? kNone : found->second.durable;
}

bool EmulatedDisk::is_durable(const std::string& name) const {
  const auto found = files_.find(name);
  return found != files_.end() && found->second.name_durable;
}

std::vector<std::string> EmulatedDisk::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : files_) names.push_back(name);
  return names;
}

std::vector<std::string> DurableFolder::names() const {
  std::vector<std::string> names = disk_.names();
  std::erase_if(names, [&](const std::string& name) { return !disk_.is_durable(name); });
  return names;
}

std::optional<std::uint64_t> DurableFolder::size(const std::string& name) const {
  if (!disk_.is_durable(name)) return std::nullopt;
  return disk_.durable(name).size();
}

Result<Bytes> DurableFolder::read(const std::string& name, std::uint64_t at, std::uint64_t count) const {
  if (!disk_.is_durable(name)) return fail(ErrorCode::not_found, name + " does not exist");
  const Bytes& data = disk_.durable(name);
  if (at > data.size() || count > data.size() - at) return fail(ErrorCode::storage, name + " ends before");
  return to_bytes(ByteView(data).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)));
}

Result<std::optional<recording::RepairCase>> repair_case(const EmulatedDisk& disk) {
  const std::string names[] = {"manifest.json", std::string(recording::kJournalName)};
  const Bytes contents[] = {disk.content(names[0]), disk.content(names[1])};
  const auto text = [&](int which) { return disk.size(names[which]) ? std::optional(as_text(contents[which])) : std::nullopt; };
  return recording::repair_case(text(0), text(1));
}

void EmulatedDisk::flip_bit(const std::string& name, std::uint64_t byte, unsigned bit) {
  File& file = files_.at(name);
  file.present[static_cast<std::size_t>(byte)] ^= static_cast<std::byte>(1u << bit);
  file.durable = file.present;
}

}  // namespace amphi::testing
