#include "server/catalogue_service.h"

namespace amphi::server {
namespace {

constexpr auto kLookEvery = std::chrono::hours(1);

}  // namespace

CatalogueService::CatalogueService(boost::asio::io_context& control, CatalogueIndex index, RetentionOptions retention, Clock clock)
    : control_(control), index_(std::move(index)), clock_(std::move(clock)), timer_(control), reader_(control, "disk-index") {
  if (retention.days == 0) return;
  retention_.emplace(std::move(retention.root), retention.days, std::move(retention.run), clock_.now());
  look_for_expired();
}

void CatalogueService::refresh(const SessionId& session, const RecordingId& id) {
  reader_.post([this, session, id] { index_.refresh(session.value, id.value); });
}

/// On the reader's thread.
Result<void> CatalogueService::remove_now(const std::string& session, const std::string& id, const std::string& by) {
  auto removed = index_.remove(session, id, by, clock_.wall());
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
    retention_->look(index_, clock_.wall(), clock_.now(), [this](const auto& session, const auto& id, const auto& by) { return remove_now(session, id, by); });
  });
  timer_.expires_after(kLookEvery);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) look_for_expired();
  });
}

}  // namespace amphi::server
