/**
 * Everything a node can be told, with its default and its limits, and how the sources are merged: command line, then
 * environment, then configuration files, then the default (cli §1.3, node §11). Every source speaks text.
 */
import { Duration, Result, Schema, SchemaTransformation } from "effect"
import * as AddressScope from "../../core/data/AddressScope.ts"
import * as DurationText from "../../core/data/DurationText.ts"
import * as WebhookTarget from "../../protocol/webhook/WebhookTarget.ts"
import * as RendezvousText from "./RendezvousText.ts"

const text = (expected: string, isValid: (value: string) => boolean) =>
  Schema.String.check(Schema.makeFilter((value: string) => isValid(value) || `expected ${expected}`))

const matching = (expected: string, pattern: RegExp) => text(expected, (value) => pattern.test(value))

const switchText = matching("true or false", /^(?:true|false|1|0|)$/).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform({
      decode: (value) => value === "true" || value === "1" || value === "",
      encode: (on) => (on ? "true" : "false")
    })
  )
)

const count = (minimum: number, maximum: number) =>
  text(
    `a whole number from ${minimum} to ${maximum}`,
    (value) => /^[0-9]{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum
  ).pipe(Schema.decodeTo(Schema.Finite, SchemaTransformation.transform({ decode: Number, encode: String })))

const duration = (minimum: Duration.Duration, maximum: Duration.Duration) =>
  text(`a duration from ${DurationText.format(minimum)} to ${DurationText.format(maximum)}, like 30s`, (value) =>
    Duration.between(DurationText.parse(value) ?? Duration.infinity, { minimum, maximum })
  ).pipe(
    Schema.decodeTo(
      Schema.Duration,
      SchemaTransformation.transform({
        decode: (value) => DurationText.parse(value) ?? minimum,
        encode: DurationText.format
      })
    )
  )

const fingerprint = matching(
  "the SHA-256 of the certificate: 64 hex digits",
  /^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/
).pipe(
  Schema.decodeTo(
    Schema.String,
    SchemaTransformation.transform({
      decode: (value) => value.replaceAll(":", "").toLowerCase(),
      encode: (value) => value
    })
  )
)

const listenAddress = matching(
  "host:port or :port",
  /^(?:[^\s:[\]]+|\[[0-9a-fA-F:.]+\])?:(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$/
)
const remoteAddress = listenAddress.check(
  Schema.makeFilter((value: string) => (!value.startsWith(":") && !value.endsWith(":0")) || "expected host:port")
)
const path = text("a path", (value) => value !== "" && !value.includes("\0"))
const hostname = matching("at most 63 of a-z, 0-9 and - inside", /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?$/)
const webhook = text(
  "a URL that starts with http:// or https://, without a name or password",
  (value) => value === "" || Result.isSuccess(WebhookTarget.parse(value))
)
const webhookAllow = text(
  "blocks of addresses like 10.0.0.0/8, divided by commas",
  (value) => value === "" || value.split(",").every((block) => AddressScope.parseBlock(block) !== undefined)
)
const rendezvous = text("[ALIAS=]HOST:PORT[/BEACON-HOST:PORT][#FINGERPRINT], divided by commas", (value) =>
  Result.isSuccess(RendezvousText.parse(value))
)
const wss = text(
  "a URL that starts with wss:// or ws://, or off",
  (value) => value === "" || value === WSS_OFF || (/^wss?:\/\/[^/]/.test(value) && URL.canParse(value))
)
const proxy = text("the URL of an HTTP proxy, @FILE with one, or none", (value) =>
  /^(?:|none|@.+|https?:\/\/[^/].*)$/.test(value)
)
const owner = text("at most 256 characters", (value) => value.length <= OWNER_MAX)

/** No WebSocket, wherever this node is. */
export const WSS_OFF = "off"
/** Longest owner text a registry has to store. */
const OWNER_MAX = 256

/** One node's configuration, complete and checked. Encoded, every member is text. */
export const NodeConfig = Schema.Struct({
  /** State directory, created 0700. */
  home: path,
  /** The registry. Never a third party's by default (architecture, decision 8). */
  registry: remoteAddress,
  /** The pin of the registry's TLS certificate (security rule 4), lower-case hex. */
  registryFingerprint: Schema.optionalKey(fingerprint),
  /** Plain TCP, for a registry of the reference: a decision, never a fallback. */
  registryPlaintext: switchText,
  beacon: remoteAddress,
  /**
   * Where the rendezvous takes WebSockets, for when UDP or the registry's port cannot be reached: the registry's host at port
   * 443 if empty.
   */
  wss,
  /** Which HTTP proxy leads there: see `ProxySetting`. */
  proxy,
  /** Further rendezvous that this node joins (`RendezvousText`), besides those it was told to join while it ran. */
  rendezvous,
  /** The UDP socket; an empty host is every interface, port 0 a free one. */
  listen: listenAddress,
  /** Where the world reaches this node, if its operator knows better than the beacon. */
  endpoint: Schema.optionalKey(remoteAddress),
  encrypt: switchText,
  identity: path,
  owner,
  hostname,
  public: switchText,
  /** Between two heartbeats; an idle connection is probed at this age (node §9). */
  keepalive: duration(Duration.seconds(1), Duration.hours(1)),
  idleTimeout: duration(Duration.seconds(1), Duration.days(1)),
  /** How long a closed connection keeps its ports. */
  timeWait: duration(Duration.zero, Duration.minutes(10)),
  /** New streams per second that strangers may open, all of them together. */
  synRateLimit: count(1, 1_000_000),
  maxConnsPerPort: count(1, 1_000_000),
  maxConnsTotal: count(1, 1_000_000),
  socket: path,
  /** Serve the reference's socket path too. */
  compatSocket: switchText,
  noEcho: switchText,
  /** Neither finds nodes on the local network nor lets them find this one. */
  noLan: switchText,
  /** No birthday probing with peers behind translators: nothing is sent to guessed ports, and none are opened for that. */
  noPortGuessing: switchText,
  /** Asks no router for a port, by NAT-PMP, PCP or UPnP. */
  noPortMapping: switchText,
  /** No messages, files and shares on port 1001. */
  noDataexchange: switchText,
  /** How much of the disk received files may take, in MiB (node §4.2). */
  receivedQuota: count(1, 999_999_999),
  /** No broker on port 1002. */
  noEventstream: switchText,
  /** No tasks on port 1003. */
  noTasks: switchText,
  /** Tasks are taken only from nodes whose polo score is not below ours, as the reference does (node §6.2). */
  taskScores: switchText,
  /** Where events of this node are posted; empty for nowhere. */
  webhook,
  /** Blocks of addresses, divided by commas, that the webhook's name may lead to besides the public internet. */
  webhookAllow,
  logLevel: Schema.Literals(["debug", "info", "warn", "error"]),
  logFormat: Schema.Literals(["text", "json"])
})
/** One node's configuration. */
export type NodeConfig = typeof NodeConfig.Type

/** The members of a configuration. */
export type Key = keyof NodeConfig

/** A source said something this node cannot use, or left out what it must say. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  /** As on the command line: `idle-timeout`. */
  flag: Schema.String,
  value: Schema.String,
  source: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.flag}: ${this.detail} (${this.source})`
  }
}

/** What one source says. Keys are flag names with `-` or `_`; unknown ones are ignored. */
export interface Source {
  /** Names it in errors: `command line`, a path. */
  readonly name: string
  readonly values: Readonly<Record<string, unknown>>
}

/** What the surroundings decide when no source does. */
export interface Surroundings {
  readonly home: string
  readonly socket: string
  /** The card of a rendezvous that runs from the same state directory. */
  readonly rendezvous?:
    | {
        readonly registry: string
        readonly beacon: string
        readonly fingerprint: string
        readonly wss?: string | undefined
      }
    | undefined
}

/** `idleTimeout` → `idle-timeout`: the name of a member on the command line and, with `-` or `_`, in files. */
export const flagOf = (key: Key): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** The members that environment variables can set. */
export const VARIABLES: Readonly<Partial<Record<Key, string>>> = {
  registry: "PILOT_REGISTRY",
  registryFingerprint: "PILOT_REGISTRY_FINGERPRINT",
  beacon: "PILOT_BEACON",
  wss: "PILOT_WSS",
  proxy: "PILOT_PROXY",
  socket: "PILOT_SOCKET"
}

/** Environment variables as a source; empty ones say nothing. */
export const environment = (variables: Readonly<Record<string, string | undefined>>): Source => ({
  name: "environment",
  values: Object.fromEntries(
    KEYS.flatMap((key) => {
      const value = VARIABLES[key] === undefined ? undefined : variables[VARIABLES[key]]
      return value === undefined || value === "" ? [] : [[flagOf(key), value]]
    })
  )
})

/** Merges the sources, the first that mentions a member wins, and checks everything. */
export const resolve = (
  sources: ReadonlyArray<Source>,
  surroundings: Surroundings
): Result.Result<NodeConfig, ConfigError> => {
  const said = new Map(KEYS.flatMap((key) => find(sources, key)))
  for (const [key, { value, source }] of said) {
    const problem = problemWith(key, value)
    if (problem !== undefined)
      return Result.fail(new ConfigError({ flag: flagOf(key), value, source, detail: problem }))
  }
  const values = Object.fromEntries([...said].map(([key, { value }]) => [key, value]))
  const merged = { ...DEFAULTS, ...placed(surroundings, values), ...values }
  return Result.flatMap(
    Result.mapError(
      Schema.decodeUnknownResult(NodeConfig)(merged),
      (error) => new ConfigError({ flag: "config", value: "", source: "defaults", detail: error.message })
    ),
    (config) => agreeing(config, sources)
  )
}

type Said = readonly [Key, { readonly value: string; readonly source: string }]

const find = (sources: ReadonlyArray<Source>, key: Key): ReadonlyArray<Said> => {
  for (const { name, values } of sources) {
    const flag = flagOf(key)
    const value = values[flag] ?? values[flag.replaceAll("-", "_")]
    if (value !== undefined && value !== null) return [[key, { value: textOf(value), source: name }]]
  }
  return []
}

/** A list is what its members are, divided by commas. */
const textOf = (value: unknown): string => {
  if (Array.isArray(value)) return value.map(textOf).join(",")
  return typeof value === "object" ? JSON.stringify(value) : String(value)
}

const problemWith = (key: Key, value: string): string | undefined => {
  const checked = Schema.decodeResult(Schema.Struct({ [key]: NodeConfig.fields[key] }))({ [key]: value })
  return Result.isSuccess(checked) ? undefined : checked.failure.message.split("\n")[0]
}

/** What follows from the place, and from a rendezvous beside it unless somebody names a registry. */
const placed = (
  { home, socket, rendezvous }: Surroundings,
  { registry }: Readonly<Record<string, string>>
): Partial<Record<Key, string>> => ({
  home,
  socket,
  identity: `${home}/identity.key`,
  ...(rendezvous === undefined || registry !== undefined
    ? {}
    : {
        registry: rendezvous.registry,
        beacon: rendezvous.beacon,
        registryFingerprint: rendezvous.fingerprint,
        ...(rendezvous.wss === undefined ? {} : { wss: rendezvous.wss })
      })
})

/** Rules between members: TLS to a registry needs its pin, and excludes plain TCP (security rule 4). */
const agreeing = (config: NodeConfig, sources: ReadonlyArray<Source>): Result.Result<NodeConfig, ConfigError> => {
  const wantsTls = sources.some(({ values }) => REGISTRY_TLS.some((key) => isOn(values[key])))
  const refuse = (flag: string, detail: string) =>
    Result.fail(new ConfigError({ flag, value: "true", source: "command line or configuration", detail }))
  if (config.registryPlaintext && (wantsTls || config.registryFingerprint !== undefined))
    return refuse("registry-plaintext", "a registry is reached by TLS with a pin or by plain TCP, not both")
  if (wantsTls && config.registryFingerprint === undefined)
    return refuse("registry-tls", "TLS needs --registry-fingerprint, printed by: pilotctl rendezvous status")
  return Result.succeed(config)
}

const isOn = (value: unknown): boolean => value === true || value === "true" || value === "1" || value === ""

/** A flag of the reference that says what the pin says already; here only its contradictions matter. */
const REGISTRY_TLS = ["registry-tls", "registry_tls"]

const KEYS = Object.keys(NodeConfig.fields) as ReadonlyArray<Key>

const DEFAULTS = {
  registry: "127.0.0.1:9000",
  registryPlaintext: "false",
  beacon: "127.0.0.1:9001",
  wss: "",
  proxy: "",
  rendezvous: "",
  listen: ":0",
  encrypt: "true",
  owner: "",
  hostname: "",
  public: "false",
  keepalive: "30s",
  idleTimeout: "2m0s",
  timeWait: "10s",
  synRateLimit: "100",
  maxConnsPerPort: "1024",
  maxConnsTotal: "4096",
  compatSocket: "false",
  noEcho: "false",
  noLan: "false",
  noPortGuessing: "false",
  noPortMapping: "false",
  noDataexchange: "false",
  receivedQuota: "2048",
  noEventstream: "false",
  noTasks: "false",
  taskScores: "false",
  webhook: "",
  webhookAllow: "",
  logLevel: "info",
  logFormat: "text"
} satisfies Partial<Record<Key, string>>
