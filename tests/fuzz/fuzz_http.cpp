// An HTTP request as it arrives: a PROXY header, the request line and headers through Beast's parser, and through ours the path, the query, the range,
// the host and the proxy's word about the client. A path that is taken stays below its folder; a range that is granted lies within the file.
#include <boost/beast/http.hpp>

#include "fuzz.h"
#include "server/client_address.h"
#include "server/host_header.h"
#include "server/proxy_protocol.h"
#include "server/static_files.h"

using namespace amphi;
namespace http = boost::beast::http;

namespace {

void check_path(std::string_view target) {
  const auto path = server::safe_path(target);
  if (!path) return;
  for (const std::string& part : *path) {
    fuzz::require(!part.empty() && part.front() != '.' && part.find('/') == part.npos && part.find('\\') == part.npos && part.find('\0') == part.npos,
                  "a part of a path leads nowhere else");
    fuzz::require(!server::content_type(part).empty(), "every file has a content type");
  }
}

void check_range(std::string_view header, std::uint64_t size) {
  const auto choice = server::choose_range(header, size);
  if (choice.kind != server::RangeKind::part) return;
  fuzz::require(choice.range.size > 0 && choice.range.first < size && choice.range.size <= size - choice.range.first, "a range lies within the file");
}

/// What follows the header.
std::string_view check_proxy_header(std::string_view text) {
  const auto header = server::read_proxy_header(as_bytes(text));
  if (header.kind != server::ProxyHeader::Kind::complete) return text;
  fuzz::require(header.size > 0 && header.size <= std::min(text.size(), server::kMostProxyHeader), "a PROXY header lies within its bytes");
  if (header.client) fuzz::require(!server::address_group(*header.client).empty(), "every client belongs to a group");
  return text.substr(header.size);
}

void check_client(const server::ForwardedFields& fields) {
  static const server::TrustedProxies trusted({*server::AddressRange::parse("10.0.0.0/8"), *server::AddressRange::parse("2001:db8::/32")});
  const Address near = Address::v4(10, 0, 0, 1, 80), far = Address::v4(192, 0, 2, 1, 80);
  fuzz::require(server::forwarded_client(fields, far, trusted) == far, "a proxy that is not trusted is the client");
  fuzz::require(!server::address_group(server::forwarded_client(fields, near, trusted)).empty(), "every client belongs to a group");
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint64_t file_size = in.u16();
  const std::string_view text = check_proxy_header(in.text());
  check_path(text);
  check_range(text, file_size);
  server::query_value(text, "access_token");

  http::request_parser<http::string_body> parser;
  parser.header_limit(16 * 1024);
  parser.body_limit(64 * 1024);
  parser.eager(true);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(text.data(), text.size()), error);
  if (error || !parser.is_header_done()) return 0;
  const auto& request = parser.get();
  check_path(view(request.target()));
  server::query_value(view(request.target()), "cursor");
  check_range(view(request[http::field::range]), file_size);
  check_client({std::string(view(request["X-Forwarded-For"])), std::string(view(request[http::field::forwarded]))});
  if (const auto refused = server::refuse_host(request, true))
    fuzz::require(refused->status == 400 || refused->status == 421, "a refused host is 400 or 421");
  else
    fuzz::require(!server::refuse_host(request, false), "a name of loopback is a valid host");
  return 0;
}
