--- Plugins (`--plugin FILE`): files that add columns to any query and change its rows, without touching it.
---
--- A plugin is loaded here to check it, and again in each worker, where its transform runs. It is granted nothing: it sees a record,
--- a row and the context, and answers with rows.
local errors = require "quern.core.error"
local files = require "quern.core.files"
local hash = require "quern.core.hash"
local json = require "quern.core.json"
local sandbox = require "quern.core.sandbox"
local columns = require "quern.columns"
local kind = require "quern.kind"
local options = require "quern.options"
local raised = require "quern.raised"

local M = {}

---@class quern.Plugin  what a plugin's file returns
---@field name string  in messages and in the summary
---@field columns? quern.Column[]  added behind the query's; their paths start at the record
---@field transform? fun(record: table, row: table, ctx: quern.TransformContext): any  a row, a list of rows, or nil to drop; called for each
---  row that the query and the plugins before this one have made of the record

local PLUGIN = { name = { type = "string", required = true }, columns = "table", transform = "function" }

local function refuse(format, ...)
  error(format:format(...), 0)
end

local function check(value)
  if type(value) ~= "table" or getmetatable(value) then
    refuse("a plugin returns { name =, columns =, transform = }%s", type(value) == "table" and ", not a script's definition"
      or ", not " .. (value == nil and "nothing" or "a " .. type(value)))
  end
  local plugin = options.check("a plugin", value, PLUGIN, 0)
  if plugin.name == "" then refuse "the plugin's name is empty" end
  if not plugin.columns and not plugin.transform then refuse "a plugin has columns, or a transform, or both" end
  columns.check(plugin.columns, plugin.transform ~= nil, refuse, 0)
  return plugin
end

local function failed(path, problem)
  return nil, errors.new("script", ("plugin %s: %s"):format(path, raised.text(problem)), { exit = 1 })
end

local function load_one(path)
  local source, problem = files.read(path)
  if not source then return nil, errors.new("usage", ("--plugin %s: %s"):format(path, tostring(problem)), { exit = 2 }) end
  if not utf8.len(source) then return failed(path, "the file is not UTF-8") end
  local dir = path:match "^(.*)/[^/]*$" or "."
  local fn, load_err = sandbox.load(source, "@" .. path, dir)
  if not fn then return failed(path, load_err) end
  local ok, value = pcall(fn)
  if not ok then return failed(path, value) end
  if kind.of(value) and kind.of(value) ~= "plugin" then return nil, kind.refusal(path, value, "a plugin returns { name =, columns =, transform = }") end
  local right, plugin = pcall(check, value)
  if not right then return failed(path, plugin) end
  return { name = plugin.name, path = path, dir = dir, source = source, sha256 = hash.sha256(source), columns = plugin.columns or {},
           transform = plugin.transform ~= nil }
end

-- The names of columns are one set: whose each is.
local function check_names(query, plugins)
  local owners, names = {}, {}
  for _, name in ipairs(columns.names(query)) do owners[name] = ("query '%s'"):format(query.name) end
  for _, plugin in ipairs(plugins) do
    local own = ("plugin '%s' (%s)"):format(plugin.name, plugin.path)
    if names[plugin.name] then
      return nil, errors.new("usage", ("%s: %s has the same name"):format(own, names[plugin.name]), { exit = 2 })
    end
    names[plugin.name] = own
    for _, column in ipairs(plugin.columns) do
      local owner = owners[column[1]]
      if owner then
        return nil, errors.new("usage", ("%s adds the column '%s', which %s has already; rename one of them"):format(own, column[1], owner), { exit = 2 })
      end
      owners[column[1]] = own
    end
  end
  return true
end

--- Loads and checks the plugins of a query.
---@param paths? string[]  in the order of the command line
---@param query quern.Query
---@return table[]? plugins  { name, path, dir, source, sha256, columns, transform }
---@return table? err  kind "usage" (2): no such file, a column's name that is taken, raw rows; kind "script" (1): the file
function M.load(paths, query)
  if paths == nil then return {} end
  if type(paths) ~= "table" then return nil, errors.new("usage", "plugins is a list of paths", { exit = 2 }) end
  if #paths == 0 then return {} end
  if query.raw then
    return nil, errors.new("usage", ("--plugin %s: the rows of '%s' are raw records, to which nothing can be added"):format(paths[1], query.name),
      { exit = 2 })
  end
  local plugins = {}
  for index, path in ipairs(paths) do
    local plugin, err = load_one(path)
    if not plugin then return nil, err end
    plugins[index] = plugin
  end
  local ok, err = check_names(query, plugins)
  if not ok then return nil, err end
  return plugins
end

--- Has any of them a transform?
---@param plugins table[]
---@return boolean
function M.transforms(plugins)
  for _, plugin in ipairs(plugins) do
    if plugin.transform then return true end
  end
  return false
end

--- What workers need to know of them, for JSON; see quern.chain.
---@param plugins table[]
---@return table[]
function M.describe(plugins)
  local list = json.array {}
  for index, plugin in ipairs(plugins) do
    local names = json.array {}
    for at, column in ipairs(plugin.columns) do names[at] = column[1] end
    list[index] = { name = plugin.name, path = plugin.path, chunk = "@" .. plugin.path, dir = plugin.dir, source = plugin.source, columns = names,
                    transform = plugin.transform }
  end
  return list
end

--- What the summary tells of them.
---@param plugins table[]
---@return table[]
function M.facts(plugins)
  local list = json.array {}
  for index, plugin in ipairs(plugins) do list[index] = { name = plugin.name, path = plugin.path, sha256 = plugin.sha256 } end
  return list
end

return M
