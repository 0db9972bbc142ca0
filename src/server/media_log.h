// A first-in first-out log between one media worker and one recording writer: records of any size, each an Entry and a payload, in
// chunks that go round between the two ends. As many chunks exist as were ever full at a time, up to a bound; past that it is full,
// and the producer is told, and counts. No lock and no system call on either end; the producer allocates only when the consumer has
// fallen further behind than ever before.
//
// Thread: push by the producer's only; front, payload and pop by the consumer's only. Until it is handed to a consumer, the producer
// may be both.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "base/bytes.h"

namespace amphi::server {

template <class Entry>
class MediaLog {
 public:
  MediaLog(std::size_t chunk_bytes, std::size_t max_chunks) : chunk_bytes_(chunk_bytes), max_chunks_(max_chunks) {
    write_ = read_ = obtain();
    recycle(obtain());  // the first change of chunks need not allocate
  }
  ~MediaLog() {
    while (front() != nullptr) pop();
    destroy(read_);
    for (Chunk* list : {free_, returned_.load(std::memory_order_acquire)})
      while (list != nullptr) destroy(std::exchange(list, list->free_next));
  }
  MediaLog(const MediaLog&) = delete;
  MediaLog& operator=(const MediaLog&) = delete;

  /// Makes an Entry and lets `fill(Entry&, MutableBytes payload)` complete both; false: full, or larger than a chunk.
  template <class Fill>
  bool push(std::size_t payload_size, Fill fill) {
    const std::size_t need = (sizeof(Record) + payload_size + alignof(Record) - 1) / alignof(Record) * alignof(Record);
    if (need > chunk_bytes_) return false;
    Chunk* fresh = nullptr;
    if (write_at_ + need > chunk_bytes_) {
      fresh = obtain();
      if (fresh == nullptr) return false;
    }
    Chunk* chunk = fresh != nullptr ? fresh : write_;
    const std::size_t at = fresh != nullptr ? 0 : write_at_;
    Record* record = new (chunk->bytes() + at) Record{need, payload_size, {}};
    fill(record->entry, MutableBytes(record->payload(), payload_size));
    chunk->end.store(at + need, std::memory_order_release);
    if (fresh != nullptr) {
      write_->next.store(fresh, std::memory_order_release);  // and never touched again from here
      write_ = fresh;
    }
    write_at_ = at + need;
    return true;
  }

  /// nullptr: empty. Valid until pop.
  Entry* front() {
    Record* record = first();
    return record != nullptr ? &record->entry : nullptr;
  }
  /// Of `front`, which is not empty.
  ByteView payload() {
    Record* record = first();
    return {record->payload(), record->payload_size};
  }
  void pop() {
    Record* record = first();
    read_at_ += record->size;
    record->~Record();
  }

  /// The producer's: how many chunks may exist from now on.
  void set_max_chunks(std::size_t chunks) { max_chunks_ = chunks; }
  /// Whether a whole chunk is free: room for more than a record or two. The producer's.
  bool has_free_chunk() const {
    return free_ != nullptr || made_ < max_chunks_ || returned_.load(std::memory_order_relaxed) != nullptr;
  }
  /// How many exist. The producer's.
  std::size_t chunks() const { return made_; }

 private:
  struct alignas(64) Chunk {
    std::atomic<std::size_t> end{0};
    std::atomic<Chunk*> next{nullptr};
    Chunk* free_next = nullptr;
    std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  };
  struct alignas(16) Record {
    std::size_t size;
    std::size_t payload_size;
    Entry entry;
    std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  };

  /// nullptr: as many exist as may.
  Chunk* obtain() {
    if (free_ == nullptr) free_ = returned_.exchange(nullptr, std::memory_order_acquire);
    if (free_ != nullptr) {
      Chunk* chunk = std::exchange(free_, free_->free_next);
      chunk->end.store(0, std::memory_order_relaxed);
      chunk->next.store(nullptr, std::memory_order_relaxed);
      return chunk;
    }
    if (made_ >= max_chunks_) return nullptr;
    void* memory = ::operator new(sizeof(Chunk) + chunk_bytes_, std::align_val_t(alignof(Chunk)), std::nothrow);
    if (memory == nullptr) return nullptr;
    ++made_;
    return new (memory) Chunk;
  }
  void recycle(Chunk* chunk) {
    if (chunk == nullptr) return;
    chunk->free_next = returned_.load(std::memory_order_relaxed);
    while (!returned_.compare_exchange_weak(chunk->free_next, chunk, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }
  static void destroy(Chunk* chunk) {
    chunk->~Chunk();
    ::operator delete(chunk, std::align_val_t(alignof(Chunk)));
  }

  Record* first() {
    while (true) {
      if (read_at_ < known_end_) return std::launder(reinterpret_cast<Record*>(read_->bytes() + read_at_));
      known_end_ = read_->end.load(std::memory_order_acquire);
      if (read_at_ < known_end_) continue;
      Chunk* next = read_->next.load(std::memory_order_acquire);
      if (next == nullptr) return nullptr;
      known_end_ = read_->end.load(std::memory_order_acquire);  // its last word, for there is a next
      if (read_at_ < known_end_) continue;
      recycle(std::exchange(read_, next));
      read_at_ = known_end_ = 0;
    }
  }

  const std::size_t chunk_bytes_;
  // The producer's.
  std::size_t max_chunks_;
  std::size_t made_ = 0;
  Chunk* write_ = nullptr;
  std::size_t write_at_ = 0;
  Chunk* free_ = nullptr;
  // What the consumer has emptied.
  alignas(64) std::atomic<Chunk*> returned_{nullptr};
  // The consumer's.
  alignas(64) Chunk* read_ = nullptr;
  std::size_t read_at_ = 0;
  std::size_t known_end_ = 0;
};

}  // namespace amphi::server
