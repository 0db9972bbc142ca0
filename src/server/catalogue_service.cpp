#include "server/catalogue_service.h"

#include <spdlog/spdlog.h>

#include "runtime/clock.h"

namespace amphi::server {
namespace {

constexpr auto kLookEvery = std::chrono::hours(1);
constexpr std::int64_t kDayMs = 24 * 3600 * 1000;

}  // namespace

CatalogueService::CatalogueService(boost::asio::io_context& control, CatalogueIndex index, unsigned retention_days)
    : index_(std::move(index)), retention_days_(retention_days), timer_(control), reader_(control, "disk-index") {
  if (retention_days_ > 0) look_for_expired();
}

void CatalogueService::refresh(const SessionId& session, const RecordingId& id) {
  reader_.post([this, session, id] { index_.refresh(session.value, id.value); });
}

void CatalogueService::look_for_expired() {
  reader_.post([this] {
    const WallTime now = runtime::wall_now();
    for (const auto& entry : index_.ended_before(now.unix_ms - static_cast<std::int64_t>(retention_days_) * kDayMs)) {
      const auto removed = index_.remove(entry.session, entry.id, "retention of " + std::to_string(retention_days_) + " days", now);
      if (!removed) spdlog::error("recording {}: {}", entry.id, removed.error().message);
    }
  });
  timer_.expires_after(kLookEvery);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) look_for_expired();
  });
}

}  // namespace amphi::server
