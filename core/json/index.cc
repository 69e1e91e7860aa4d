/* The one file that knows simdjson: its stage 1, without its parsers (they refuse or accept the wrong things). */
#include <memory>
#include <simdjson.h>

#include "json/index.h"

namespace
{

void release(void *owner)
{
    delete static_cast<simdjson::internal::dom_parser_implementation *>(owner);
}

} // namespace

extern "C" int qn_index_simd(const char *text, size_t size, struct qn_index *out, struct qn_err *err)
{
    std::unique_ptr<simdjson::internal::dom_parser_implementation> scanner;
    *out = qn_index{nullptr, 0, nullptr, nullptr};
    if (size == 0) return QN_OK; /* stage 1 wants at least one byte */
    auto rc = simdjson::get_active_implementation()->create_dom_parser_implementation(size, 1, scanner);
    if (rc != simdjson::SUCCESS) return qn_fail(err, QN_ENOMEM, "out of memory for the index of %zu bytes", size);
    rc = scanner->stage1(reinterpret_cast<const uint8_t *>(text), size, simdjson::stage1_mode::regular);
    if (rc == simdjson::EMPTY) return QN_OK;
    if (rc != simdjson::SUCCESS) return qn_fail(err, QN_ESYNTAX, "%s", simdjson::error_message(rc));
    out->at = scanner->structural_indexes.get();
    out->count = scanner->n_structural_indexes;
    out->owner = scanner.release();
    out->release = release;
    return QN_OK;
}
