-- What the name of the output and the command line say about format and compression.
local t = require "harness"
local output = require "quern.output"

local function bind(opts, query)
  local out, err = output.bind(query or { name = "q" }, opts)
  if not out then return nil, err end
  return out.format .. "+" .. (out.compression or "none")
end

local function refused(opts, pattern)
  local out, err = bind(opts)
  t.equal(out, nil)
  t.equal(err.kind, "usage")
  t.equal(err.exit, 2)
  t.match(tostring(err.message), pattern)
end

t.test("the name says both", function()
  local names = {
    ["out.csv"] = "csv+none", ["out.json"] = "json+none", ["out.jsonl"] = "ndjson+none", ["out.csv.gz"] = "csv+gzip",
    ["out.ndjson.gz"] = "ndjson+gzip", ["out.json.zst"] = "json+zstd", ["OUT.CSV.GZ"] = "csv+gzip", ["out.gz"] = "ndjson+gzip",
    ["out"] = "ndjson+none", ["out.txt"] = "ndjson+none", ["out.txt.zst"] = "ndjson+zstd", ["a.gz/out.csv"] = "csv+none", ["a.csv/out.gz"] = "ndjson+gzip",
    ["out.gz.csv"] = "csv+none", ["-"] = "ndjson+none", [".csv"] = "csv+none", ["a/.csv.gz"] = "csv+gzip",
  }
  for name, wanted in pairs(names) do t.equal(bind { output = name }, wanted, name) end
  t.equal(bind {}, "ndjson+none")
end)

t.test("--format and --compress win over the name, the name over the query", function()
  t.equal(bind { output = "out.csv.gz", format = "json" }, "json+gzip")
  t.equal(bind { output = "out.csv.gz", compress = "none" }, "csv+none")
  t.equal(bind { output = "out.csv.gz", compress = "zstd" }, "csv+zstd")
  t.equal(bind { output = "out.csv", compress = "gzip" }, "csv+gzip")
  t.equal(bind { compress = "gzip", format = "csv" }, "csv+gzip")
  t.equal(bind({ output = "out.gz" }, { name = "q", format = "csv" }), "csv+gzip")
  t.equal(bind({ output = "out.json.gz" }, { name = "q", format = "csv" }), "json+gzip")
  t.equal(bind { output = "out.bz2", compress = "none" }, "ndjson+none")
end)

t.test("what quern cannot write is refused", function()
  for _, name in ipairs { "bz2", "xz", "zip", "lz4", "br", "7z", "zstd", "gzip", "Z" } do
    refused({ output = "out.csv." .. name }, "^%-o out%.csv%." .. name .. ": .*name it out%.csv%.gz or out%.csv%.zst$")
  end
  refused({ compress = "xz" }, "%-%-compress 'xz' is not one of gzip, none, zstd")
  refused({ format = "xml" }, "%-%-format 'xml'")
  refused({ output = "out.json.gz", csv_safe = true }, "%-%-csv%-safe")
  local out, err = output.bind({ name = "q", raw = true }, { output = "out.csv.gz" })
  t.equal(out, nil)
  t.match(tostring(err.message), "raw JSON")
end)
