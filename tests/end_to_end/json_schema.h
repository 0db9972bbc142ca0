// Checks JSON against the schemas in protocol/, as far as these use JSON Schema 2020-12: type, const, enum, required,
// properties, items, minimum, maximum, minLength, maxLength, pattern, $ref into $defs. An unknown keyword is an error of the test.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace amphi::end_to_end {

/// Empty: `value` fits. Else the path and the keyword that it fails.
std::string schema_error(const nlohmann::json& schema, const nlohmann::json& value, const std::string& path = "$");
/// A schema of the project: "rest/export", "services/recording.state".
nlohmann::json protocol_schema(const std::string& name);

}  // namespace amphi::end_to_end
