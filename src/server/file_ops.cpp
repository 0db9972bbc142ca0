#include "server/file_ops.h"

#include "server/overloaded.h"

namespace amphi::server {

Result<void> carry_out(const recording::FileOp& op, runtime::FileWriter& files) {
  return std::visit(Overloaded{
                        [&](const recording::OpenFile& o) { return files.open(o.file, o.name); },
                        [&](const recording::ReopenFile& o) { return files.reopen(o.file, o.name, o.size); },
                        [&](const recording::WriteFile& o) { return files.write(o.file, o.offset, o.data); },
                        [&](const recording::SyncFile& o) { return files.sync(o.file); },
                        [&](const recording::CloseFile& o) { return files.close(o.file); },
                        [&](const recording::HashFile&) { return Result<void>(); },
                        [&](const recording::ReplaceFile& o) { return files.replace(o.name, o.data); },
                        [&](const recording::RemoveFile& o) { return files.remove(o.name); },
                    },
                    op);
}

}  // namespace amphi::server
