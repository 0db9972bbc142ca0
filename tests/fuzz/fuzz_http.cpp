// An HTTP request as it arrives: request line and headers through Beast's parser, the path, the query and the range through ours. A path that is
// taken stays below its folder; a range that is granted lies within the file.
#include <boost/beast/http.hpp>

#include "fuzz.h"
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

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint64_t file_size = in.u16();
  const std::string_view text = in.text();
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
  return 0;
}
