#include "server/http_response.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>

#include "server/static_files.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr auto kWriteTimeout = std::chrono::seconds(30);  // for each piece
constexpr std::size_t kPiece = 128 * 1024;

struct OpenFile {
  int fd = -1;
  std::uint64_t size = 0;
  explicit OpenFile(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat found {};
    if (fd >= 0 && ::fstat(fd, &found) == 0) size = static_cast<std::uint64_t>(found.st_size);
  }
  ~OpenFile() {
    if (fd >= 0) ::close(fd);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
};

http::response<http::empty_body> head_of(const HttpRequest& request, const HttpAnswer& answer) {
  http::response<http::empty_body> head{static_cast<http::status>(answer.status), request.version()};
  head.keep_alive(request.keep_alive());
  head.set(http::field::server, "amphi");
  head.set(http::field::content_type, answer.content_type);
  head.set("X-Content-Type-Options", "nosniff");
  head.set("Referrer-Policy", "no-referrer");
  head.set("X-Frame-Options", "DENY");
  head.set("Cross-Origin-Resource-Policy", "same-origin");
  head.set(http::field::cache_control, answer.cacheable ? "public, max-age=31536000, immutable" : "no-store");
  if (answer.page) {
    head.set("Content-Security-Policy",
             "default-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
             "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
    head.set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)");
  }
  if (!answer.allow.empty()) head.set(http::field::allow, answer.allow);
  if (answer.challenge) head.set(http::field::www_authenticate, "Bearer");
  return head;
}

asio::awaitable<bool> write_head(AnyStream& stream, http::response<http::empty_body>& head) {
  boost::system::error_code error;
  http::response_serializer<http::empty_body> serializer(head);
  stream.tcp().expires_after(kWriteTimeout);
  co_await http::async_write_header(stream, serializer, asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<bool> write_bytes(AnyStream& stream, const char* data, std::size_t size) {
  boost::system::error_code error;
  stream.tcp().expires_after(kWriteTimeout);
  co_await asio::async_write(stream, asio::buffer(data, size), asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

asio::awaitable<bool> write_sealed(AnyStream& stream, const SealedFile& file, ByteRange range) {
  while (range.size > 0) {
    const auto data = file.read(range.first, std::min<std::uint64_t>(range.size, kPiece));
    if (!data) co_return false;
    if (!co_await write_bytes(stream, reinterpret_cast<const char*>(data->data()), data->size())) co_return false;
    range.first += data->size();
    range.size -= data->size();
  }
  co_return true;
}

asio::awaitable<bool> write_file(AnyStream& stream, const OpenFile& file, ByteRange range) {
  const auto piece = std::make_unique<char[]>(kPiece);
  while (range.size > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(range.size, kPiece));
    const ssize_t got = ::pread(file.fd, piece.get(), wanted, static_cast<off_t>(range.first));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) co_return false;  // it was promised: the connection must end, or the client would wait for the rest
    if (!co_await write_bytes(stream, piece.get(), static_cast<std::size_t>(got))) co_return false;
    range.first += static_cast<std::uint64_t>(got);
    range.size -= static_cast<std::uint64_t>(got);
  }
  co_return true;
}

}  // namespace

asio::awaitable<bool> write_answer(AnyStream& stream, const HttpRequest& request, HttpAnswer answer) {
  const bool with_body = request.method() != http::verb::head;
  if (answer.file.empty()) {
    auto head = head_of(request, answer);
    head.content_length(answer.body.size());
    if (!co_await write_head(stream, head)) co_return false;
    if (!with_body || answer.body.empty()) co_return true;
    co_return co_await write_bytes(stream, answer.body.data(), answer.body.size());
  }

  OpenFile file(answer.file);
  if (answer.sealed) file.size = answer.sealed->size();
  const auto header = request[http::field::range];
  RangeChoice choice = choose_range({header.data(), header.size()}, file.size);
  if (file.fd < 0) answer.status = 404;
  else if (choice.kind == RangeKind::unsatisfiable) answer.status = 416;
  else if (choice.kind == RangeKind::part) answer.status = 206;
  if (choice.kind == RangeKind::whole) choice.range = {0, file.size};

  auto head = head_of(request, answer);
  head.set(http::field::accept_ranges, "bytes");
  const std::string total = std::to_string(file.size);
  if (answer.status == 206)
    head.set(http::field::content_range, "bytes " + std::to_string(choice.range.first) + "-" +
                                             std::to_string(choice.range.first + choice.range.size - 1) + "/" + total);
  if (answer.status == 416) head.set(http::field::content_range, "bytes */" + total);
  const bool has_content = answer.status == 200 || answer.status == 206;
  head.content_length(has_content ? choice.range.size : 0);
  if (!co_await write_head(stream, head)) co_return false;
  if (!with_body || !has_content) co_return true;
  if (answer.sealed) co_return co_await write_sealed(stream, *answer.sealed, choice.range);
  co_return co_await write_file(stream, file, choice.range);
}

}  // namespace amphi::server
