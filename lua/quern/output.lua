--- What the output's name and the words of the command line say about it: the format of the rows, and how they are compressed.
local errors = require "quern.core.error"

local M = {}

local FORMATS = { csv = "csv", json = "json", ndjson = "ndjson", jsonl = "ndjson" } -- by extension
local COMPRESSIONS = { gz = "gzip", zst = "zstd" } -- by extension
local NAMES = { gzip = true, zstd = true, none = true } -- of --compress
local NOT_WRITTEN = {} -- names that a reader would take for something else than what quern writes
for name in ("7z br bz2 gzip lz4 lzma rar tgz xz z zip zstd"):gmatch "%w+" do NOT_WRITTEN[name] = true end

local function usage(format, ...)
  return nil, errors.new("usage", format:format(...), { exit = 2 })
end

-- The last extension of a path in lower case, and the path without it.
local function extension_of(path)
  local rest, extension = (path or ""):match "^(.*)%.(%w+)$"
  return extension and extension:lower(), rest
end

-- How the output is compressed; and its path without the extension that said so, for the format.
local function compression_of(opts)
  local extension, rest = extension_of(opts.output)
  local wanted = opts.compress
  if wanted and not NAMES[wanted] then return usage("--compress '%s' is not one of gzip, none, zstd", wanted) end
  if not wanted and NOT_WRITTEN[extension] then
    return usage("-o %s: quern compresses with gzip or zstd only; name it %s.gz or %s.zst", opts.output, rest, rest)
  end
  local known = COMPRESSIONS[extension]
  return wanted or known or "none", known and rest or opts.output
end

--- The format: `--format`, else the extension of the output, else the query's own, else NDJSON. The compression: `--compress`, else what a
--- last extension `.gz` or `.zst` says, else none; the format's extension stands before it.
---@param query { name: string, format: string?, raw: boolean? }
---@param opts { format: string?, compress: string?, output: string?, csv_safe: boolean? }
---@return { format: "csv"|"json"|"ndjson", compression: "gzip"|"zstd"|nil }? output
---@return quern.Error? err  kind "usage", exit 2
function M.bind(query, opts)
  local wanted = opts.format
  if wanted and not FORMATS[wanted] then return usage("--format '%s' is not one of csv, json, ndjson", wanted) end
  local compression, path = compression_of(opts)
  if not compression then return nil, path end
  local format = wanted or FORMATS[extension_of(path)] or query.format or "ndjson"
  if format == "csv" and query.raw then
    return usage("the rows of '%s' are raw JSON, which CSV cannot hold; use --format json or ndjson", query.name)
  end
  if opts.csv_safe and format ~= "csv" then
    return usage("--csv-safe guards the cells of CSV; the format of this run is %s: leave it out, or give --format csv", format)
  end
  return { format = format, compression = compression ~= "none" and compression or nil }
end

return M
