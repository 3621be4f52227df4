#include "core/base/result.h"

#include <cstring>

namespace intact {

std::string Error::message() const {
  std::string text;
  if (!archive.empty()) text += archive + ": ";
  if (!member.empty()) text += member + ": ";
  if (offset) text += "offset " + std::to_string(*offset) + ": ";
  return text + reason;
}

Error system_error(int error_number, std::string doing) {
  char buffer[128];
  const char* why = strerror_r(error_number, buffer, sizeof buffer);
  Error error{ErrorCode::kSystem, std::move(doing) + ": " + why};
  error.system_errno = error_number;
  return error;
}

}  // namespace intact
