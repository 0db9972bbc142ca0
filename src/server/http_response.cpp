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
#include <utility>

#include "runtime/folder.h"
#include "server/static_files.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr auto kWriteTimeout = std::chrono::seconds(30);  // for each piece
constexpr std::size_t kPiece = 128 * 1024;

/// Of data: a browser shows it, and runs nothing in it.
constexpr const char* kDataPolicy = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

void set_safety_fields(http::fields& fields) {
  fields.set("X-Content-Type-Options", "nosniff");
  fields.set("Referrer-Policy", "no-referrer");
  fields.set("X-Frame-Options", "DENY");
  fields.set("Cross-Origin-Resource-Policy", "same-origin");
}

struct OpenFile {
  int fd = -1;
  std::uint64_t size = 0;
  OpenFile(const std::string& path, const std::string& root)
      : fd(root.empty() ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC) : path.starts_with(root + "/") ? runtime::open_below(root, std::string_view(path).substr(root.size())) : -1) {
    struct stat found {};
    if (fd < 0) return;
    if (::fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) size = static_cast<std::uint64_t>(found.st_size);
    else ::close(std::exchange(fd, -1));
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
  set_safety_fields(head);
  head.set(http::field::cache_control, answer.cacheable ? "public, max-age=31536000, immutable" : "no-store");
  if (answer.page) {
    head.set("Content-Security-Policy",
             "default-src 'self'; connect-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
             "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
    head.set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)");
  } else if (!answer.cacheable) {
    head.set("Content-Security-Policy", kDataPolicy);
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

/// Up to `count` bytes at `at`; empty: it cannot be read.
Bytes read_piece(const OpenFile& file, const SealedFile* sealed, std::uint64_t at, std::uint64_t count) {
  if (sealed != nullptr) return sealed->read(at, count).value_or(Bytes{});
  Bytes piece(count);
  ssize_t got = 0;
  do got = ::pread(file.fd, piece.data(), piece.size(), static_cast<off_t>(at));
  while (got < 0 && errno == EINTR);
  piece.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return piece;
}

asio::awaitable<bool> write_file(AnyStream& stream, std::shared_ptr<const OpenFile> file, std::shared_ptr<const SealedFile> sealed, ByteRange range, DiskReader& reader) {
  while (range.size > 0) {
    auto task = [file, sealed, range] { return read_piece(*file, sealed.get(), range.first, std::min<std::uint64_t>(range.size, kPiece)); };
    const Bytes piece = co_await reader.call(std::move(task));
    if (piece.empty()) co_return false;  // it was promised: the connection must end, or the client would wait for the rest
    if (!co_await write_bytes(stream, reinterpret_cast<const char*>(piece.data()), piece.size())) co_return false;
    range.first += piece.size();
    range.size -= piece.size();
  }
  co_return true;
}

}  // namespace

void decorate_refusal(http::fields& fields) {
  fields.set(http::field::server, "amphi");
  fields.set(http::field::cache_control, "no-store");
  fields.set("Content-Security-Policy", kDataPolicy);
  set_safety_fields(fields);
}

asio::awaitable<bool> write_answer(AnyStream& stream, const HttpRequest& request, HttpAnswer answer, DiskReader& reader) {
  const bool with_body = request.method() != http::verb::head;
  if (answer.file.empty()) {
    auto head = head_of(request, answer);
    head.content_length(answer.body.size());
    if (!co_await write_head(stream, head)) co_return false;
    if (!with_body || answer.body.empty()) co_return true;
    co_return co_await write_bytes(stream, answer.body.data(), answer.body.size());
  }

  auto open = [path = answer.file, root = answer.root] { return std::make_shared<const OpenFile>(path, root); };
  const auto file = co_await reader.call(std::move(open));
  const std::uint64_t size = answer.sealed ? answer.sealed->size() : file->size;
  const auto header = request[http::field::range];
  RangeChoice choice = choose_range({header.data(), header.size()}, size);
  if (file->fd < 0) answer.status = 404;
  else if (choice.kind == RangeKind::unsatisfiable) answer.status = 416;
  else if (choice.kind == RangeKind::part) answer.status = 206;
  if (choice.kind == RangeKind::whole) choice.range = {0, size};

  auto head = head_of(request, answer);
  head.set(http::field::accept_ranges, "bytes");
  const std::string total = std::to_string(size);
  if (answer.status == 206)
    head.set(http::field::content_range, "bytes " + std::to_string(choice.range.first) + "-" +
                                             std::to_string(choice.range.first + choice.range.size - 1) + "/" + total);
  if (answer.status == 416) head.set(http::field::content_range, "bytes */" + total);
  const bool has_content = answer.status == 200 || answer.status == 206;
  head.content_length(has_content ? choice.range.size : 0);
  if (!co_await write_head(stream, head)) co_return false;
  if (!with_body || !has_content) co_return true;
  co_return co_await write_file(stream, file, answer.sealed, choice.range, reader);
}

}  // namespace amphi::server
