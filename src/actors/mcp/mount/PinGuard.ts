/**
 * Watches the tools that a peer's server lists (mcp §6.9, §8 rule 6): the first definition seen is pinned, a later one that
 * differs is told, and held back if the owner of the client wants that. Bytes that are not held back stay as they were.
 *
 * Stands between a client and its `ShimSession`; reads and writes the table of pins, which commands change as well.
 */
import { Effect, FileSystem, Path, Result, type Semaphore } from "effect"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import { DirectoryLock } from "../../../core/storage/DirectoryLock.ts"
import * as ToolPin from "../../../protocol/mcp/ToolPin.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as ToolFilter from "../../../protocol/relay/ToolFilter.ts"
import type { Target } from "../Target.ts"
import * as PinTable from "./PinTable.ts"

/** `hold` hides a changed tool until it is approved, `block` every tool of a service that has one. */
export type Mode = "warn" | "hold" | "block"

/** What a guard needs. */
export interface Options {
  readonly path: string
  readonly target: Target
  readonly mode: Mode
  /** The key that stands behind the peer; undefined while it cannot be asked for. */
  readonly peerKey: Effect.Effect<string | undefined>
  /** Held while the table is read and written, where several guards share it. */
  readonly lock?: Semaphore.Semaphore
  /** The table as it is now, where several guards share what was read; absent: the file is read each time. */
  readonly table?: ReturnType<typeof PinTable.load>
}

/** One client's guard. */
export interface PinGuard {
  /** It may take tools out of lists. */
  readonly isStrict: boolean
  /** The answers that the client gets instead, if a message of it must not pass. */
  readonly fromClient: (message: Uint8Array) => Effect.Effect<ReadonlyArray<Uint8Array> | undefined>
  /** A list was asked for before this guard was there; its answer may still come. */
  readonly awaits: (id: string) => void
  /** A message of the server as the client may see it. */
  readonly toClient: (message: Uint8Array) => Effect.Effect<Uint8Array>
}

/** A guard that has seen nothing yet. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<PinGuard, never, Crypto | DirectoryLock | FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const lock = yield* DirectoryLock
  const { sha256 } = yield* Crypto
  const { mode, path, table = PinTable.load(path), target } = options
  const refuses = mode !== "warn"
  /** Requests for lists, ever: nothing else than an answer to one can hold tools, however late or often it comes. */
  const asked = new Set<string>()

  /** Whether a client could take the message for a list. */
  const mayList = (message: Uint8Array): boolean => {
    if (asked.size === 0 || asked.size > ASKED_MAX) return asked.size > 0
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    return envelope?._tag === "Response" ? asked.has(looseId(envelope.id)) : envelope?._tag === "Batch"
  }

  /** Tools that may be used now: those approved as they are. Undefined if that cannot be known, and then none may. */
  const usable = Effect.gen(function* () {
    const peerKey = yield* options.peerKey
    if (peerKey === undefined) return undefined
    const pins = (yield* table).filter((pin) => isOf(pin, target, peerKey))
    const good = pins.filter(({ approved, changed }) => approved !== undefined && changed === undefined)
    return new Set(mode === "block" && good.length < pins.length ? [] : good.map(({ tool }) => tool))
  }).pipe(
    Effect.provideService(FileSystem.FileSystem, files),
    Effect.catch((error) => Effect.as(Effect.logWarning(`mcp: pins cannot be read: ${error.message}`), undefined))
  )

  const isUsable = (names: ReadonlySet<string> | undefined, tool: string | undefined): boolean =>
    tool !== undefined && names?.has(tool) === true

  /** Compares what is listed with what is pinned, and writes down what is new. */
  const compare = Effect.fnUntraced(function* (tools: ReadonlyArray<ToolPin.Pinned>, peerKey: string) {
    const seen = tools.map(
      (tool): SeenTool => ({ ...tool, sha256: Bytes.toHex(sha256(Bytes.fromUtf8(tool.canonical))) })
    )
    const before = yield* table
    if (fold(before, seen, target, peerKey).pins === before) return
    // Again under the lock, since another mount may have written in between.
    let warnings: ReadonlyArray<string> = []
    yield* PinTable.update(path, (now) => {
      const folded = fold(now, seen, target, peerKey)
      warnings = folded.warnings
      return folded.pins
    })
    yield* Effect.forEach(warnings, (text) => Effect.logWarning(`mcp: ${text}`), { discard: true })
  })

  const awaits = (id: string): void => {
    if (asked.size <= ASKED_MAX) asked.add(looseId(id))
  }

  const fromClient = Effect.fnUntraced(function* (message: Uint8Array) {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    const requests = envelope === undefined ? [] : JsonRpcPeek.requests(envelope)
    for (const { id, method } of requests) {
      if (method === "tools/list") awaits(id)
    }
    const calls = refuses ? requests.filter(({ method }) => method === "tools/call") : []
    if (calls.length === 0) return undefined
    const names = yield* usable
    if (calls.every((call) => isUsable(names, call.target))) return undefined
    return requests.map(({ id }) =>
      BridgeError.encode(
        {
          kind: "definitionChanged",
          message:
            names === undefined
              ? "The definitions of this service cannot be checked now."
              : `The tool is not approved as it is now. See it with: pilotctl mcp pins diff ${target.peer}/${target.service}`,
          retryable: names === undefined,
          delivered: false,
          ...target
        },
        id
      )
    )
  })

  const checked = Effect.fnUntraced(function* (message: Uint8Array) {
    const listed = ToolFilter.listed(message)
    if (listed.length === 0) return message
    const tools = listed.flatMap(({ end, start }) => {
      const tool = Json.parseObject(DECODER.decode(message.subarray(start, end)))
      return (tool === undefined ? undefined : ToolPin.of(tool)) ?? []
    })
    const peerKey = yield* options.peerKey
    if (peerKey === undefined) yield* Effect.logWarning(`mcp: the key of ${target.peer} is not known: no pins`)
    const compared = peerKey === undefined ? Effect.void : compare(tools, peerKey)
    yield* (options.lock?.withPermit(compared) ?? compared).pipe(
      Effect.provideService(DirectoryLock, lock),
      Effect.provideService(FileSystem.FileSystem, files),
      Effect.provideService(Path.Path, paths),
      Effect.catch((error) => Effect.logWarning(`mcp: pins cannot be kept: ${error.message}`))
    )
    if (!refuses) return message
    const names = yield* usable
    return ToolFilter.cut(message, ({ name }) => isUsable(names, name))
  })

  return {
    isStrict: refuses,
    fromClient,
    awaits,
    toClient: (message) => (mayList(message) ? checked(message) : Effect.succeed(message))
  }
})

/** Some clients take the text "5" for the number 5, and the server is not to be trusted with the difference. */
const looseId = (id: string): string => {
  const text = id.startsWith('"') ? String(JSON.parse(id)) : id
  const value = Number(text)
  return Number.isNaN(value) ? text : String(value)
}

interface SeenTool extends ToolPin.Pinned {
  readonly sha256: string
}

/** The pins after a list; the same array if it says nothing new. */
const fold = (
  before: ReadonlyArray<PinTable.Pin>,
  tools: ReadonlyArray<SeenTool>,
  target: Target,
  peerKey: string
): { readonly pins: ReadonlyArray<PinTable.Pin>; readonly warnings: ReadonlyArray<string> } => {
  const pins = new Map(before.map((pin) => [keyOf(pin), pin]))
  const warnings: Array<string> = []
  let count = before.filter((pin) => isOf(pin, target, peerKey)).length
  let isNews = false
  for (const tool of tools) {
    const seen = { sha256: tool.sha256, text: tool.canonical.length > TEXT_CHARACTERS_MAX ? "" : tool.canonical }
    const fresh: PinTable.Pin = { peerKey, peer: target.peer, service: target.service, tool: tool.name }
    const { approved, changed } = pins.get(keyOf(fresh)) ?? fresh
    // What nobody can see is approved by nobody without a look.
    const isKnown =
      approved === undefined ? tool.hidden === 0 && changed === undefined : approved.sha256 === seen.sha256
    if (isKnown ? approved !== undefined && changed === undefined : changed?.sha256 === seen.sha256) continue
    if (!pins.has(keyOf(fresh)) && ++count > PINS_MAX) {
      if (count === PINS_MAX + 1) warnings.push(`more than ${PINS_MAX} tools: others are not pinned`)
      continue
    }
    isNews = true
    pins.set(keyOf(fresh), {
      ...fresh,
      ...(isKnown ? { approved: seen } : { changed: seen, ...(approved === undefined ? {} : { approved }) })
    })
    if (!isKnown) warnings.push(textOf(target, tool, approved !== undefined))
  }
  return { pins: isNews ? [...pins.values()] : before, warnings }
}

const isOf = (pin: PinTable.Pin, { service }: Target, peerKey: string): boolean =>
  pin.peerKey === peerKey && pin.service === service

const textOf = (target: Target, { hidden, name }: ToolPin.Pinned, wasKnown: boolean): string => {
  const subject = `${JSON.stringify(name)} of ${target.peer}/${target.service}`
  const seen = hidden === 0 ? "" : `; it holds ${hidden} characters that cannot be seen`
  const look = `pilotctl mcp pins diff ${target.peer}/${target.service}`
  return `${wasKnown ? `the definition of ${subject} has changed` : `the definition of ${subject} is suspicious`}${seen}; see: ${look}`
}

const keyOf = ({ peerKey, service, tool }: Pick<PinTable.Pin, "peerKey" | "service" | "tool">): string =>
  JSON.stringify([peerKey, service, tool])

const DECODER = new TextDecoder()
/** Longer definitions are known by their hash only, and cannot be shown. */
const TEXT_CHARACTERS_MAX = 2048
/** Ids of lists; a client that asks for more has every message looked at. */
const ASKED_MAX = 1024
/** Tools pinned of one service; `hold` and `block` show no others. */
const PINS_MAX = 256
