/**
 * The services that this node exposes, and to whom (mcp §8, rules 1 and 2): kept in `services.json`, mode 0600, written by
 * nobody but the owner's commands. An empty `allowed` allows nobody (security rule 3).
 */
import { Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as JsonFile from "../../../core/storage/JsonFile.ts"
import { Rules } from "../../../protocol/relay/Policy.ts"
import { ServiceName } from "../../../protocol/relay/RelayControl.ts"
import { TITLE_CHARACTERS_MAX } from "../../../protocol/relay/ServiceListing.ts"

/** A peer that may use a service: its key decides, address and name are for people (security rule 1). */
export const AllowedPeer = Schema.Struct({
  node: Schema.Int,
  /** Ed25519, base64. */
  publicKey: Schema.String,
  name: Schema.String
})
/** One allowed peer. */
export type AllowedPeer = typeof AllowedPeer.Type

const common = {
  name: ServiceName,
  /** What the owner calls it, for people at peers that may use it. */
  title: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(TITLE_CHARACTERS_MAX))),
  allowed: Schema.Array(AllowedPeer),
  /** A virtual port of its own, where plain newline-separated JSON-RPC is served as well. */
  port: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))),
  createdAtSeconds: Schema.Int,
  /** Absent in files of before there were any: then every message passes. */
  rules: Schema.optionalKey(Rules)
}

/** A server that is started here, one process per client unless it is shared. */
export const CommandService = Schema.Struct({
  ...common,
  command: Schema.NonEmptyString,
  args: Schema.Array(Schema.String),
  cwd: Schema.optionalKey(Schema.String),
  /** All sessions use one process; its server must speak the modern revision (`SharedChild`). */
  shared: Schema.optionalKey(Schema.Boolean),
  env: Schema.Record(Schema.String, Schema.String)
})
/** A server that is started here, one process per client. */
export type CommandService = typeof CommandService.Type

/** A streamable HTTP server that runs somewhere already. Only the owner chooses URL and headers (mcp §8, rules 3 and 10). */
export const UrlService = Schema.Struct({
  ...common,
  url: Schema.NonEmptyString,
  /** Sent with every request; they may hold credentials, so they are never shown. */
  headers: Schema.Record(Schema.String, Schema.String)
})
/** A streamable HTTP server that runs somewhere already. */
export type UrlService = typeof UrlService.Type

/** A server that is on disk, to be exposed until its owner says otherwise. */
export const StoredService = Schema.Union([CommandService, UrlService])
/** A server that is on disk. */
export type StoredService = typeof StoredService.Type

/** A server inside a running program of this host, one for each client; it is never on disk. */
export const ProgramService = Schema.Struct({
  ...common,
  /** What the program calls itself, with its process id. */
  program: Schema.NonEmptyString
})
/** A server inside a running program. */
export type ProgramService = typeof ProgramService.Type

/** One exposed server. */
export const Service = Schema.Union([CommandService, UrlService, ProgramService])
/** One exposed server. */
export type Service = typeof Service.Type

/** Those on disk, by name. */
export type ServiceTable = ReadonlyMap<string, StoredService>

/**
 * Whether the peer with this key may use the service. `publicKey` is the one under which this node trusts it; a stranger
 * has none and may use nothing, a public service included (security rule 3). A node id proves nothing, and is another one at each
 * rendezvous (decision 58). Several keys are those of one peer, one after the other: what was allowed to an earlier one is
 * allowed to its successor (security rule 9).
 */
export const isAllowed = (service: Service, publicKey: string | ReadonlyArray<string> | undefined): boolean => {
  const keys = typeof publicKey === "string" ? [publicKey] : (publicKey ?? [])
  const isNamed = () => service.allowed.some((peer) => keys.includes(peer.publicKey))
  return keys.length > 0 && (service.rules?.open !== undefined || isNamed())
}

/** One more peer for those of the services that are there; another key of the same node id is replaced. */
export const allow = (self: ServiceTable, names: ReadonlyArray<string>, peer: AllowedPeer): ServiceTable => {
  const table = new Map(self)
  for (const name of names) {
    const service = table.get(name)
    if (service === undefined) continue
    table.set(name, { ...service, allowed: [...service.allowed.filter(({ node }) => node !== peer.node), peer] })
  }
  return table
}

/** The command line as a person would type it, quoted where a shell would split it. For showing, never for running. */
export const commandLine = (service: Pick<CommandService, "command" | "args">): string =>
  [service.command, ...service.args].map(quoted).join(" ")

/** What serves: the command line, the URL or the program. Two services with the same source may be used by the same peers. */
export const source = (service: Service): string => {
  if ("url" in service) return service.url
  return "program" in service ? service.program : commandLine(service)
}

/** The same for decisions that outlast a process: a program is known by being one. */
export const server = (service: Service): string => ("program" in service ? "program" : source(service))

/** The services in the file; none if there is no file. */
export const load = (path: string): Effect.Effect<ServiceTable, JsonFile.JsonFileError, FileSystem.FileSystem> =>
  Effect.map(
    JsonFile.load(path, File),
    Option.match({
      onNone: () => new Map(),
      onSome: ({ services }) => new Map(services.map((service) => [service.name, service]))
    })
  )

/** Replaces the file in one step. */
export const save = (
  path: string,
  table: ServiceTable
): Effect.Effect<void, JsonFile.JsonFileError, FileSystem.FileSystem | Path.Path> =>
  JsonFile.save(path, File, { v: 1, services: [...table.values()] })

const File = Schema.Struct({ v: Schema.Literal(1), services: Schema.Array(StoredService) })

const quoted = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
