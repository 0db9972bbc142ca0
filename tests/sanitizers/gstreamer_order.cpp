// GLib's mutexes and conditions sleep on futexes, its thread pools hand over by them, and GStreamer's buffers go back to their pool by
// atomics. ThreadSanitizer sees none of it in libraries that are not instrumented, and would take what their threads give each other
// for races. These stand before the libraries' own functions, call them, and tell it what they order: no more than what holds.
// Only in tests under TSan.
#include <dlfcn.h>
#include <gst/gst.h>
#include <sanitizer/tsan_interface.h>

namespace {

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

struct PoolWork {
  GFunc function;
  gpointer user;
};

void run_pool_task(gpointer task, gpointer user) {
  __tsan_acquire(task);
  const auto& work = *static_cast<const PoolWork*>(user);
  work.function(task, work.user);
}

}  // namespace

extern "C" {

void g_mutex_lock(GMutex* mutex) {
  static const auto lock = real<void(GMutex*)>("g_mutex_lock");
  lock(mutex);
  __tsan_acquire(mutex);
}

gboolean g_mutex_trylock(GMutex* mutex) {
  static const auto trylock = real<gboolean(GMutex*)>("g_mutex_trylock");
  if (!trylock(mutex)) return FALSE;
  __tsan_acquire(mutex);
  return TRUE;
}

void g_mutex_unlock(GMutex* mutex) {
  static const auto unlock = real<void(GMutex*)>("g_mutex_unlock");
  __tsan_release(mutex);
  unlock(mutex);
}

void g_cond_wait(GCond* cond, GMutex* mutex) {
  static const auto wait = real<void(GCond*, GMutex*)>("g_cond_wait");
  __tsan_release(mutex);
  wait(cond, mutex);
  __tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond* cond, GMutex* mutex, gint64 end) {
  static const auto wait_until = real<gboolean(GCond*, GMutex*, gint64)>("g_cond_wait_until");
  __tsan_release(mutex);
  const gboolean woken = wait_until(cond, mutex, end);
  __tsan_acquire(mutex);
  return woken;
}

GThreadPool* g_thread_pool_new(GFunc function, gpointer user, gint max_threads, gboolean exclusive, GError** error) {
  static const auto make = real<GThreadPool*(GFunc, gpointer, gint, gboolean, GError**)>("g_thread_pool_new");
  return make(&run_pool_task, new PoolWork{function, user}, max_threads, exclusive, error);  // for ever: pools are few
}

gboolean g_thread_pool_push(GThreadPool* pool, gpointer task, GError** error) {
  static const auto push = real<gboolean(GThreadPool*, gpointer, GError**)>("g_thread_pool_push");
  __tsan_release(task);
  return push(pool, task, error);
}

void gst_mini_object_unref(GstMiniObject* object) {
  static const auto unref = real<void(GstMiniObject*)>("gst_mini_object_unref");
  void* held = GST_IS_SAMPLE(object) ? static_cast<void*>(gst_sample_get_buffer(GST_SAMPLE_CAST(object))) : object;
  if (held != nullptr) __tsan_release(held);
  unref(object);
}

GstFlowReturn gst_buffer_pool_acquire_buffer(GstBufferPool* pool, GstBuffer** buffer, GstBufferPoolAcquireParams* params) {
  static const auto acquire =
      real<GstFlowReturn(GstBufferPool*, GstBuffer**, GstBufferPoolAcquireParams*)>("gst_buffer_pool_acquire_buffer");
  const GstFlowReturn result = acquire(pool, buffer, params);
  if (result == GST_FLOW_OK) __tsan_acquire(*buffer);
  return result;
}
}
