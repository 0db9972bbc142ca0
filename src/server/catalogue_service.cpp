#include "server/catalogue_service.h"

#include <spdlog/spdlog.h>

#include "runtime/clock.h"

namespace amphi::server {
namespace {

constexpr auto kLookEvery = std::chrono::hours(1);
constexpr std::int64_t kDayMs = 24 * 3600 * 1000;

}  // namespace

CatalogueService::CatalogueService(boost::asio::io_context& control, CatalogueIndex index, unsigned retention_days)
    : control_(control), index_(std::move(index)), retention_days_(retention_days), timer_(control), reader_(control, "disk-index") {
  if (retention_days_ > 0) look_for_expired();
}

void CatalogueService::refresh(const SessionId& session, const RecordingId& id) {
  reader_.post([this, session, id] { index_.refresh(session.value, id.value); });
}

/// On the reader's thread.
Result<void> CatalogueService::remove_now(const std::string& session, const std::string& id, const std::string& by) {
  auto removed = index_.remove(session, id, by, runtime::wall_now());
  // One whose files resist is deleted too.
  if (removed || (removed.error().code == ErrorCode::storage && index_.deletion_of(session, id)))
    boost::asio::post(control_, [tell = removed_, session, id] { if (*tell) (*tell)(session, id); });
  return removed;
}

boost::asio::awaitable<Result<void>> CatalogueService::remove(std::string session, std::string id, std::string by) {
  auto task = [this, session = std::move(session), id = std::move(id), by = std::move(by)] { return remove_now(session, id, by); };
  co_return co_await reader_.call(std::move(task));
}

void CatalogueService::look_for_expired() {
  reader_.post([this] {
    for (const auto& entry : index_.ended_before(runtime::wall_now().unix_ms - static_cast<std::int64_t>(retention_days_) * kDayMs)) {
      const auto removed = remove_now(entry.session, entry.id, "retention of " + std::to_string(retention_days_) + " days");
      if (!removed) spdlog::error("recording {}: {}", entry.id, removed.error().message);
    }
  });
  timer_.expires_after(kLookEvery);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) look_for_expired();
  });
}

}  // namespace amphi::server
