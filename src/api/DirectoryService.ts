/** The directory of a node: `Directory.ts` is its face for users. */
import { Context, Effect, Layer, Schema } from "effect"
import * as CapabilityDirectory from "../actors/mcp/client/CapabilityDirectory.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import type { JsonObject } from "../core/data/Json.ts"
import * as CapabilityCard from "../protocol/directory/CapabilityCard.ts"
import type { CardBook } from "../protocol/directory/CardBook.ts"
import type { FoundService } from "../protocol/directory/FoundService.ts"
import { MCP_PORT } from "../protocol/relay/RelayControl.ts"
import { Pilot } from "./PilotService.ts"

/** The node cannot be asked whom it trusts. Peers and registries that fail are in `Found.problems` instead. */
export class DirectoryError extends Schema.TaggedError<DirectoryError>()("DirectoryError", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** How a search is done. */
export interface SearchOptions {
  /** A JSON Schema of the arguments at hand: `{ properties: { path: { type: "string" } } }`. */
  readonly schema?: JsonObject
  /** Services in the answer; 10 unless told otherwise. */
  readonly limit?: number
  /** Ask the registry for public cards as well, as is done unless told otherwise. */
  readonly includePublic?: boolean
  /** For each peer; 8 s unless told otherwise. */
  readonly peerTimeoutMs?: number
}

/** What was found, the best first, and what was not asked or not believed. */
export interface Found {
  readonly services: ReadonlyArray<FoundService>
  /** `node` is 0 for the registry. */
  readonly problems: ReadonlyArray<{ readonly node: number; readonly detail: string }>
  /** The nodes of all trusted peers. */
  readonly trusted: ReadonlyArray<number>
}

/** The directory of a node. It remembers the newest card of each service, and refuses older ones. */
export class Directory extends Context.Service<
  Directory,
  { readonly search: (words: string, options?: SearchOptions) => Effect.Effect<Found, DirectoryError> }
>()("effect-pilot/api/Directory") {}

/** The directory of any `Pilot`. */
export const fromPilot: Layer.Layer<Directory, never, Pilot> = Layer.effect(
  Directory,
  Effect.gen(function* () {
    const pilot = yield* Pilot
    const { sha256, verify } = yield* Crypto
    let book: CardBook = []
    const inWords = <A>(effect: Effect.Effect<A, { readonly detail: string }>): Effect.Effect<A, string> =>
      Effect.mapError(effect, ({ detail }) => detail)
    const options: CapabilityDirectory.Options = {
      self: Effect.map(inWords(pilot.info), ({ node }) => node),
      trusted: inWords(pilot.trusted),
      dial: (node) => Effect.map(pilot.dial(String(node), MCP_PORT), ({ duplex }) => duplex),
      publicCards: (question) => inWords(pilot.publicCards(question)),
      hostnameOf: (node) =>
        Effect.orElseSucceed(
          Effect.map(pilot.resolve(String(node)), ({ hostname }) => hostname),
          () => ""
        ),
      sha256,
      verify,
      book: {
        load: Effect.sync(() => book),
        save: (next) =>
          Effect.sync(() => {
            book = next
          })
      }
    }
    return {
      search: Effect.fn("Directory.search")(function* (words, how = {}) {
        const { includePublic = true, limit = 10, peerTimeoutMs, schema = {} } = how
        const parameters = CapabilityCard.parametersOf(schema)
        const { found, problems, trusted } = yield* CapabilityDirectory.search(
          peerTimeoutMs === undefined ? options : { ...options, peerTimeoutMs },
          { words, schema, parameters, limit, includePublic }
        ).pipe(Effect.mapError((detail) => new DirectoryError({ detail })))
        return { services: found, problems, trusted }
      })
    }
  })
).pipe(Layer.provide(NativeCrypto.layer))

/** Services that fit, the best first. See `Directory`. */
export const search = (words: string, options?: SearchOptions): Effect.Effect<Found, DirectoryError, Directory> =>
  Effect.flatMap(Directory, (directory) => directory.search(words, options))
