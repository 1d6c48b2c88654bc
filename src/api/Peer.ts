/**
 * Which peer a program means: by its name, its address, its key, or by what it can do. Everything that wants a peer takes a
 * hostname, an address or a node id as a plain string, or one of these.
 */
import { Effect, Result, Schema } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import type { JsonObject } from "../core/data/Json.ts"
import * as Fingerprint from "../protocol/trust/Fingerprint.ts"
import * as Directory from "./DirectoryService.ts"
import { type Peer, Pilot, type PilotError } from "./PilotService.ts"

/** The hostname, checked against the key pinned for it. */
export interface ByName {
  readonly _tag: "ByName"
  readonly name: string
}

/** `0:0000.0000.0002`, or a decimal node id. */
export interface ByAddress {
  readonly _tag: "ByAddress"
  readonly address: string
}

/** The trusted peer with that key, wherever it is registered now. */
export interface ByKey {
  readonly _tag: "ByKey"
  readonly fingerprint: string
}

/** Whoever of the trusted peers offers what fits the words and the arguments at hand. */
export interface Capable {
  readonly _tag: "Capable"
  readonly words: string
  /** A JSON Schema of the arguments at hand. */
  readonly schema: JsonObject
}

/** Whoever of several offers the same, in several places: `Nearest`. */
export interface AnyOf {
  readonly _tag: "AnyOf"
  readonly selectors: ReadonlyArray<string | Selector>
}

/** A way to say which peer. */
export type Selector = ByName | ByAddress | ByKey | Capable | AnyOf

/** No peer is what was asked for. */
export class NoSuchPeer extends Schema.TaggedError<NoSuchPeer>()("NoSuchPeer", {
  /** What was asked for, in words. */
  selector: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.selector}: ${this.detail}`
  }
}

/** The peer of that hostname. */
export const byName = (name: string): ByName => ({ _tag: "ByName", name })

/** The peer at that address, or with that node id. */
export const byAddress = (address: string | number): ByAddress => ({ _tag: "ByAddress", address: String(address) })

/** The trusted peer with the key of that fingerprint, typed in any way that people type it. */
export const byKey = (fingerprint: string): ByKey => ({ _tag: "ByKey", fingerprint })

/** A trusted peer that can do it; which one is decided when it is needed. */
export const capable = (words: string, schema: JsonObject = {}): Capable => ({ _tag: "Capable", words, schema })

/** Any of these: `anyOf("eu", "us", Peer.capable("search papers"))`. */
export const anyOf = (...selectors: ReadonlyArray<string | Selector>): AnyOf => ({ _tag: "AnyOf", selectors })

/** The selector in words, for errors and logs. */
export const format = (selector: string | Selector): string => {
  if (typeof selector === "string") return selector
  switch (selector._tag) {
    case "ByName":
      return selector.name
    case "ByAddress":
      return selector.address
    case "ByKey":
      return `key ${selector.fingerprint}`
    case "Capable":
      return `whoever can ${JSON.stringify(selector.words)}`
    case "AnyOf":
      return `any of ${selector.selectors.map(format).join(", ")}`
  }
}

/** All peers that are meant, the best first: one, unless the selector is `capable` or `anyOf`. Never empty. */
export const candidates = Effect.fn("Peer.candidates")(function* (
  selector: string | Selector
): Effect.fn.Return<ReadonlyArray<Peer>, DialError | NoSuchPeer | PilotError, Pilot> {
  const pilot = yield* Pilot
  if (typeof selector === "string") return [yield* pilot.resolve(selector)]
  switch (selector._tag) {
    case "ByName":
      return [yield* pilot.resolve(selector.name)]
    case "ByAddress":
      return [yield* pilot.resolve(selector.address)]
    case "ByKey":
      return [yield* withKey(selector)]
    case "Capable":
      return yield* whoCan(selector)
    case "AnyOf":
      return yield* anyone(selector)
  }
})

/** The peer that is meant: the best of `candidates`. */
export const resolve = (selector: string | Selector): Effect.Effect<Peer, DialError | NoSuchPeer | PilotError, Pilot> =>
  Effect.map(candidates(selector), ([best]) => best!)

/** Those that lead nowhere do not matter while one does. */
const anyone = Effect.fnUntraced(function* (
  selector: AnyOf
): Effect.fn.Return<ReadonlyArray<Peer>, DialError | NoSuchPeer | PilotError, Pilot> {
  const found = yield* Effect.forEach(selector.selectors, (one) => Effect.result(candidates(one)), {
    concurrency: LOOK_UPS_MAX
  })
  const peers = found.flatMap((one) => Result.getOrElse(one, () => []))
  const failure = found.find(Result.isFailure)
  if (peers.length > 0) return [...new Map(peers.map((peer) => [peer.node, peer])).values()]
  return failure === undefined ? yield* none(selector, "nobody is named") : yield* Effect.fail(failure.failure)
})

/** The trust list has no name; whoever has it is asked for the rest, and must still have the key. */
const withKey = Effect.fnUntraced(function* (selector: ByKey) {
  const wanted = Fingerprint.parse(selector.fingerprint)
  if (wanted === undefined) return yield* none(selector, "this is no fingerprint")
  const pilot = yield* Pilot
  const known = yield* Effect.forEach(yield* pilot.trusted, ({ node }) => Effect.option(pilot.resolve(String(node))), {
    concurrency: LOOK_UPS_MAX
  })
  const found = known.flatMap((peer) => (peer._tag === "Some" && peer.value.fingerprint === wanted ? [peer.value] : []))
  return found[0] ?? (yield* none(selector, "no trusted peer has this key, or the registry does not know it now"))
})

/** Nodes that this one does not trust, of whom the registry's public cards say that they can do it, the best first. */
export const strangers = Effect.fn("Peer.strangers")(function* (
  selector: Capable
): Effect.fn.Return<ReadonlyArray<number>, NoSuchPeer | PilotError, Pilot> {
  const pilot = yield* Pilot
  const trusted = new Set<number>((yield* pilot.trusted).map(({ node }) => node))
  const { services } = yield* searched(selector, true)
  return [...new Set(services.map(({ peer }) => peer.node))].filter((node) => !trusted.has(node))
})

const whoCan = Effect.fnUntraced(function* (selector: Capable) {
  const pilot = yield* Pilot
  const { problems, services } = yield* searched(selector, false)
  const nodes = new Set(services.filter(({ isUsable }) => isUsable).map(({ peer }) => peer.node))
  const peers = yield* Effect.forEach(nodes, (node) => Effect.option(pilot.resolve(String(node))), {
    concurrency: LOOK_UPS_MAX
  })
  const found = peers.flatMap((peer) => (peer._tag === "Some" ? [peer.value] : []))
  const problem = problems.map(({ detail, node }) => `; node ${node}: ${detail}`)[0] ?? ""
  return found.length > 0 ? found : yield* none(selector, `no trusted peer offers it to this node${problem}`)
})

const searched = (selector: Capable, includePublic: boolean) =>
  Directory.search(selector.words, { schema: selector.schema, limit: FOUND_MAX, includePublic }).pipe(
    Effect.provide(Directory.fromPilot),
    Effect.catchTag("DirectoryError", ({ detail }) => none(selector, detail))
  )

const none = (selector: Selector, detail: string) => new NoSuchPeer({ selector: format(selector), detail })

/** Services that fit, of which those that may be used are looked at. */
const FOUND_MAX = 64
/** Asked for at once. */
const LOOK_UPS_MAX = 8
