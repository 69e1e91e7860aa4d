/* The one file that knows simdjson: its stage 1, without its parsers (they refuse or accept the wrong things). */
#include <memory>
#include <simdjson.h>

#include "json/index.h"

namespace
{

using scanner_type = simdjson::internal::dom_parser_implementation;

constexpr size_t SPARE = size_t(16) << 20;

/* A scanner has room for an offset a byte of text, of which a page fills a tenth. Each thread keeps the one it used
 * last. */
scanner_type *scanner_for(size_t size)
{
    thread_local std::unique_ptr<scanner_type> kept;
    if (kept && kept->capacity() >= size && kept->capacity() <= 4 * size + SPARE) return kept.get();
    kept.reset();
    auto rc = simdjson::get_active_implementation()->create_dom_parser_implementation(size + size / 4, 1, kept);
    return rc == simdjson::SUCCESS ? kept.get() : nullptr;
}

} // namespace

extern "C" int qn_index_simd(const char *text, size_t size, struct qn_index *out, struct qn_err *err)
{
    static const uint32_t nothing[] = {0};
    *out = qn_index{nothing, 0, nullptr, nullptr};
    if (size == 0) return QN_OK; /* stage 1 wants at least one byte */
    scanner_type *scanner = scanner_for(size);
    if (!scanner) return qn_fail(err, QN_ENOMEM, "out of memory for the index of %zu bytes", size);
    auto rc = scanner->stage1(reinterpret_cast<const uint8_t *>(text), size, simdjson::stage1_mode::regular);
    if (rc != simdjson::SUCCESS && rc != simdjson::EMPTY) {
        return qn_fail(err, QN_ESYNTAX, "%s", simdjson::error_message(rc));
    }
    out->at = scanner->structural_indexes.get();
    out->count = rc == simdjson::EMPTY ? 0 : scanner->n_structural_indexes;
    scanner->structural_indexes[out->count] = uint32_t(size); /* it keeps room for more than this */
    return QN_OK;
}
