import { homedir } from "node:os"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { type Import, parse, readAll, type SourceFile } from "./support/SourceFile.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const sources = readAll(root, "src")
const everything = [...sources, ...["test", "bench", "examples", "scripts"].flatMap((folder) => readAll(root, folder))]

/** `src/protocol/wire/Packet.ts` is of room `protocol/wire`; a file directly in `src/nat` of `nat`. */
const roomOf = (path: string): string => path.split("/").slice(1, -1).slice(0, 2).join("/")

/** What a face may export: the messages of an actor and the way to start it. */
const isFace = (path: string): boolean => {
  if (
    /\/(Node|OwnKeys|RegistryClient|Names|PeerKeys|Tasks|Trust|Broker|Webhooks|Memberships|PolicyGuard|AuditTrail)\.ts$/.test(
      path
    )
  )
    return true
  const file = sources.find((source) => source.path === path)
  return (
    file !== undefined && file.exports.length > 0 && file.exports.every(({ name }) => /^(\w*Message|spawn)$/.test(name))
  )
}

const starts = (room: string, ...prefixes: ReadonlyArray<string>): boolean =>
  prefixes.some((prefix) => room === prefix || room.startsWith(`${prefix}/`))

/** Whether a file of room `from` may import the file `path`. */
const mayImport = (from: string, path: string): boolean => {
  const room = roomOf(path)
  if (room === from) return true
  const isEvent = path === "src/protocol/ProtocolEvent.ts"
  if (from === "core/data") return false
  if (from === "core/actor") return room === "core/data"
  if (starts(from, "core")) return starts(room, "core")
  if (from === "protocol/wire") return room === "core/data"
  if (from === "protocol" || from === "nat") return room === "protocol/wire" || room === "core/data" || isEvent
  // Cards speak of tools, and the registry keeps cards (decision 39).
  if (from === "protocol/directory" && room === "protocol/mcp") return true
  if (from === "protocol/registry" && room === "protocol/directory") return true
  // The registry waits like every peer before a key moves (decision 53).
  if (from === "protocol/registry" && room === "protocol/identity") return true
  // A rule speaks of topics, tools and fingerprints as their own rooms read them (decision 54).
  if (from === "protocol/policy" && ["protocol/pubsub", "protocol/relay", "protocol/trust"].includes(room)) return true
  if (starts(from, "protocol")) return room === "protocol/wire" || room === "core/data" || isEvent
  if (from === "actors/layers") return starts(room, "core", "protocol", "nat", "actors")
  if (starts(from, "actors")) {
    if (starts(room, "core", "protocol", "nat")) return true
    return starts(room, "actors") && room !== "actors/layers" && isFace(path)
  }
  if (starts(from, "api")) return starts(room, "core", "protocol", "nat", "actors", "api")
  if (starts(from, "cli")) return starts(room, "core", "protocol", "api", "actors", "cli")
  if (starts(from, "testing")) return !starts(room, "cli")
  return false
}

/** An `index.ts` is for users: it gathers its room. */
const isIndex = (path: string): boolean => path.endsWith("/index.ts")

const isPure = (room: string): boolean => starts(room, "core/data", "protocol", "nat")

/** Effect's modules of plain data. */
const PURE_MODULES = new Set(
  "Schema Data Result Option Array Order Ordering Duration HashMap HashSet Match Predicate Brand Encoding Equal Equivalence Hash Record Struct Tuple String Number BigInt Boolean Function pipe identity absurd Chunk Iterable Redacted Types SchemaIssue SchemaGetter SchemaTransformation SchemaParser".split(
    " "
  )
)
const IMPURE_GLOBALS = new Set(
  "Date Buffer process performance crypto fetch setTimeout setInterval setImmediate queueMicrotask console require".split(
    " "
  )
)

/** A longer file hides a second noun. */
const LINES_MAX = 350
/** Where this checkout and this user live: true of no other machine. */
const MACHINE_PATHS = [root, `${homedir()}/`]

/** One line per violation, so that a failure can be read as a list of places to mend. */
const none = (violations: ReadonlyArray<string>): void =>
  assert.strictEqual(violations.length, 0, `\n${violations.join("\n")}\n`)

const each = (
  files: ReadonlyArray<SourceFile>,
  violations: (file: SourceFile) => ReadonlyArray<string>
): ReadonlyArray<string> => files.flatMap((file) => violations(file).map((violation) => `${file.path}${violation}`))

const importsOf = (file: SourceFile, violates: (one: Import) => boolean): ReadonlyArray<string> =>
  file.imports.filter(violates).map(({ names, specifier }) => ` imports ${specifier} (${names.join(", ")})`)

describe("architecture", () => {
  it("the test sees the code: an import, a global, a cast, a missing docstring", () => {
    const text = `
      import { Effect } from "effect"
      import * as Sibling from "../stream/Connection.ts"
      export const now = () => Effect.succeed({ Date: Date.now(), s: "Buffer" } as unknown as any)
      /** Documented. */
      export type State = Sibling.State
      export const State = { Date: 1 }
    `
    const file = parse("src/protocol/tunnel/Bad.ts", text)

    assert.deepStrictEqual(
      file.imports.map(({ target }) => target),
      [undefined, "src/protocol/stream/Connection.ts"]
    )
    assert.isFalse(mayImport(roomOf(file.path), "src/protocol/stream/Connection.ts"))
    assert.isTrue(file.globals.has("Date"))
    assert.isFalse(file.globals.has("Buffer"))
    assert.deepStrictEqual(file.silencings, [4])
    assert.deepStrictEqual(
      file.exports.map(({ isDocumented, name }) => `${name} ${isDocumented}`),
      ["now false", "State true", "State true"]
    )
    assert.isFalse(file.hasModuleDocstring)
    const [a, b] = [
      parse("src/nat/A.ts", 'import "./B.ts"\nexport default 1'),
      parse("src/nat/B.ts", 'export * from "./A.ts"')
    ]
    assert.isTrue(a.hasDefaultExport)
    assert.deepStrictEqual(cycles([a, b]), ["src/nat/A.ts → src/nat/B.ts → src/nat/A.ts"])
  })

  it("each room imports only what the arrows allow", () => {
    none(
      each(
        sources.filter(({ path }) => !isIndex(path)),
        (file) => importsOf(file, ({ target }) => target !== undefined && !mayImport(roomOf(file.path), target))
      )
    )
  })

  it("nobody but users imports an index", () => {
    none(
      each(sources, (file) =>
        isIndex(file.path) ? [] : importsOf(file, ({ target }) => target !== undefined && isIndex(target))
      )
    )
  })

  it("the pure rooms use Effect's data modules only", () => {
    const violates = ({ names, specifier, target }: Import) =>
      target === undefined && (specifier !== "effect" || names.some((name) => !PURE_MODULES.has(name)))
    none(each(sources, (file) => (isPure(roomOf(file.path)) ? importsOf(file, violates) : [])))
  })

  it("the pure rooms have no clock, no randomness, no timers and nothing of Node", () => {
    none(
      each(sources, (file) => {
        if (!isPure(roomOf(file.path))) return []
        const globals = [...file.globals].filter(([name]) => IMPURE_GLOBALS.has(name))
        const random = file.text.includes("Math.random") ? [" uses Math.random"] : []
        return [...globals.map(([name, line]) => `:${line} uses ${name}`), ...random]
      })
    )
  })

  it("Node's modules are imported by the adapters of core and by the command line only", () => {
    const isAdapter = (room: string) => starts(room, "core/crypto", "core/storage", "core/net", "cli")
    none(
      each(sources, (file) =>
        isAdapter(roomOf(file.path)) ? [] : importsOf(file, ({ specifier }) => specifier.startsWith("node:"))
      )
    )
  })

  it("imports form no cycle", () => {
    none(cycles(sources))
  })

  it("every module begins with a docstring", () => {
    none(each(sources, ({ hasModuleDocstring }) => (hasModuleDocstring ? [] : [""])))
  })

  it("every export has a docstring", () => {
    none(
      each(sources, ({ exports }) =>
        exports.filter(({ isDocumented }) => !isDocumented).map(({ line, name }) => `:${line} ${name}`)
      )
    )
  })

  it("there are no default exports", () => {
    none(each(sources, ({ hasDefaultExport }) => (hasDefaultExport ? [""] : [])))
  })

  it("no file is named for what it is not", () => {
    none(
      everything.map(({ path }) => path).filter((path) => /(^|\/)(utils?|helpers?|common|types)(\.ts|\/)/i.test(path))
    )
  })

  it("no cast to any, no cast through unknown, no silenced compiler", () => {
    none(each(everything, ({ silencings }) => silencings.map((line) => `:${line}`)))
  })

  it("services are kept for later by Provided.services, without the scope of whoever keeps them", () => {
    const isKept = /Effect\.context(<(?![^(]*Scope\.Scope)|\()/
    none(
      each(sources, ({ path, text }) =>
        path !== "src/core/actor/Provided.ts" && isKept.test(text) ? [" keeps services with their scope"] : []
      )
    )
  })

  it(`no file is longer than ${LINES_MAX} lines`, () => {
    none(each(sources, ({ lineCount }) => (lineCount > LINES_MAX ? [` has ${lineCount}`] : [])))
  })

  it("no path of somebody's machine", () => {
    none(
      each(everything, ({ text }) => MACHINE_PATHS.filter((path) => text.includes(path)).map((path) => ` has ${path}`))
    )
  })
})

/** Each cycle once, as the chain of its files. */
function cycles(files: ReadonlyArray<SourceFile>): ReadonlyArray<string> {
  const targets = new Map(
    files.map(({ imports, path }) => [path, imports.flatMap(({ target }) => (target === undefined ? [] : [target]))])
  )
  const done = new Set<string>()
  const found: Array<string> = []
  const visit = (path: string, chain: ReadonlyArray<string>): void => {
    if (chain.includes(path)) found.push([...chain.slice(chain.indexOf(path)), path].join(" → "))
    if (done.has(path)) return
    done.add(path)
    for (const target of targets.get(path) ?? []) visit(target, [...chain, path])
  }
  for (const { path } of files) visit(path, [])
  return found
}
