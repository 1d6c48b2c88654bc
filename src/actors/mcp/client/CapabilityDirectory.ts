/**
 * Who offers what is looked for (mcp §6.11): all trusted peers are asked for their cards, at the same time, and the registry
 * for public ones. Every card is checked against the key of its node before anything in it is looked at; then all are ranked
 * together. A peer that lies, is away or is slow costs its own cards and a line that says so.
 */
import { Clock, Effect, Option, Result, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { JsonObject } from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type { CardParameter } from "../../../protocol/directory/CapabilityCard.ts"
import * as CapabilitySearch from "../../../protocol/directory/CapabilitySearch.ts"
import * as CardBook from "../../../protocol/directory/CardBook.ts"
import * as FoundService from "../../../protocol/directory/FoundService.ts"
import * as SignedCard from "../../../protocol/directory/SignedCard.ts"
import * as Fingerprint from "../../../protocol/trust/Fingerprint.ts"
import { NodeId } from "../../../protocol/wire/Address.ts"
import * as LocalNode from "../../../protocol/wire/LocalNode.ts"
import * as CardAsker from "./CardAsker.ts"

/** A peer that this node trusts, with the key it is trusted under. */
export interface TrustedPeer {
  readonly node: number
  readonly publicKey: Uint8Array
}

/** A capability card as the registry gave it: not checked. `pinned` is the key that this node has pinned for that node, if any. */
export interface PublicCard {
  readonly node: number
  readonly hostname: string
  /** `{ card, signature }`. */
  readonly signed: JsonObject
  readonly pinned: Uint8Array | undefined
}

/** What a directory needs of its node. Failures are sentences. */
export interface Options {
  /** Its own services are no news. */
  readonly self: Effect.Effect<number, string>
  readonly trusted: Effect.Effect<ReadonlyArray<TrustedPeer>, string>
  /** A stream to the MCP port of a peer. */
  readonly dial: (node: number) => Effect.Effect<Duplex<unknown>, unknown, Scope.Scope>
  readonly publicCards: (question: {
    readonly query: string
    readonly schema: JsonObject
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<PublicCard>, string>
  /** The name of a trusted peer; empty when it has none, or that cannot be asked. */
  readonly hostnameOf: (node: number) => Effect.Effect<string>
  readonly verify: SignedCard.Check["verify"]
  readonly sha256: (data: Uint8Array) => Uint8Array
  /** The newest cards seen, from one search to the next. */
  readonly book: {
    readonly load: Effect.Effect<CardBook.CardBook>
    readonly save: (book: CardBook.CardBook) => Effect.Effect<void>
  }
  /** For one peer, everything included. */
  readonly peerTimeoutMs?: number
}

/** What is looked for. */
export interface Question {
  readonly words: string
  /** A JSON Schema of the arguments that the caller has. */
  readonly schema: JsonObject
  readonly parameters: ReadonlyArray<CardParameter>
  readonly limit: number
  /** Ask the registry as well. */
  readonly includePublic: boolean
}

/** What was not found, and why. `node` is 0 for the registry. */
export interface Problem {
  readonly node: number
  readonly detail: string
}

/** One search. */
export interface Answer {
  readonly found: ReadonlyArray<FoundService.FoundService>
  readonly problems: ReadonlyArray<Problem>
  /** Peers that were asked. */
  readonly asked: number
  /** The nodes of all trusted peers. */
  readonly trusted: ReadonlyArray<number>
}

/** Searches once. Fails only when the node itself cannot be asked. */
export const search = Effect.fn("CapabilityDirectory.search")(function* (
  options: Options,
  question: Question
): Effect.fn.Return<Answer, string> {
  const clock = yield* Clock.Clock
  const nowSeconds = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
  const self = yield* options.self
  const allTrusted = (yield* options.trusted).filter(({ node }) => node !== self)
  const trusted = allTrusted.slice(0, PEERS_MAX)
  const keys = new Map(trusted.map(({ node, publicKey }) => [node, publicKey]))
  const check = { verify: options.verify, nowSeconds }
  const [fromPeers, fromRegistry] = yield* Effect.all(
    [
      Effect.forEach(trusted, (peer) => askPeer(options, check, peer), { concurrency: AT_ONCE_MAX }),
      question.includePublic ? askRegistry(options, check, question, keys, self) : Effect.succeed(NOTHING)
    ],
    { concurrency: "unbounded" }
  )
  const problems: Array<Problem> = []
  let book = yield* options.book.load
  const candidates = new Map<string, FoundService.Candidate>()
  for (const { cards, problems: own } of [...fromPeers, fromRegistry]) {
    problems.push(...own)
    for (const { signed, ...rest } of cards) {
      const admitted = CardBook.admit(book, signed)
      if (Result.isFailure(admitted)) {
        problems.push({ node: signed.card.node, detail: describe(signed.card.service, admitted.failure) })
        continue
      }
      book = admitted.success
      const key = `${signed.card.publicKey} ${signed.card.service}`
      // What the peer itself says comes first, and is what this node may use.
      const known = candidates.get(key)
      candidates.set(
        key,
        known === undefined ? { card: signed.card, ...rest } : { ...known, hostname: known.hostname || rest.hostname }
      )
    }
  }
  yield* options.book.save(book)
  const ranked = CapabilitySearch.rank([...candidates.values()], ({ card }) => card, question)
  const found = yield* Effect.forEach(ranked, (match) => told(options, match), { concurrency: AT_ONCE_MAX })
  return { found, problems, asked: trusted.length, trusted: allTrusted.map(({ node }) => node) }
})

const told = (options: Options, match: CapabilitySearch.Match<FoundService.Candidate>) =>
  Effect.gen(function* () {
    const { from } = match
    const key = Bytes.fromBase64(from.card.publicKey) ?? new Uint8Array()
    const named = Effect.map(
      Effect.timeoutOption(options.hostnameOf(from.card.node), NAME_TIMEOUT),
      Option.getOrElse(() => "")
    )
    const name = from.hostname === "" && from.isTrusted ? yield* named : from.hostname
    const hostname = HOSTNAME.test(name) ? name : ""
    return FoundService.of({ ...match, from: { ...from, hostname } }, Fingerprint.format(options.sha256(key)))
  })

interface Gathered {
  readonly cards: ReadonlyArray<Omit<FoundService.Candidate, "card"> & { readonly signed: SignedCard.SignedCard }>
  readonly problems: ReadonlyArray<Problem>
}

const askPeer = (
  options: Options,
  check: SignedCard.Check,
  { node, publicKey }: TrustedPeer
): Effect.Effect<Gathered> =>
  CardAsker.ask(options.dial(node)).pipe(
    Effect.timeout(options.peerTimeoutMs ?? PEER_TIMEOUT_MS),
    Effect.map(({ cards, pending }) => {
      // The peer's key signs them; the id they name is that of the registry where it publishes (decision 58).
      const gathered = believed(cards, { ...check, publicKey }, node)
      return {
        cards: gathered.cards.map((signed) => ({ signed, isTrusted: true, isDirect: true, hostname: "" })),
        problems: [
          ...gathered.problems,
          ...(pending.length === 0
            ? []
            : [{ node, detail: `still looks at its services ${pending.join(", ")}: ask again` }])
        ]
      }
    }),
    Effect.catch((error) => Effect.succeed({ cards: [], problems: [{ node, detail: textOf(error) }] }))
  )

const askRegistry = (
  options: Options,
  check: SignedCard.Check,
  { limit, schema, words }: Question,
  trusted: ReadonlyMap<number, Uint8Array>,
  self: number
): Effect.Effect<Gathered> =>
  options.publicCards({ query: words, schema, limit }).pipe(
    Effect.timeoutOrElse({ duration: REGISTRY_TIMEOUT, orElse: () => Effect.fail("the registry does not answer") }),
    Effect.map((found) => {
      const all = found
        .filter(({ node }) => node !== self)
        .map(({ hostname, node, pinned, signed }) => {
          const key = trusted.get(node) ?? pinned
          const registered = LocalNode.registryIdIn(NodeId(node))
          const gathered = believed(
            [signed],
            { ...check, node: registered, ...(key === undefined ? {} : { publicKey: key }) },
            node
          )
          return {
            cards: gathered.cards.map((card) => ({
              signed: card,
              isTrusted: trusted.has(node),
              isDirect: false,
              hostname: HOSTNAME.test(hostname) ? hostname : ""
            })),
            problems: gathered.problems
          }
        })
      return { cards: all.flatMap(({ cards }) => cards), problems: all.flatMap(({ problems }) => problems) }
    }),
    Effect.catch((detail) => Effect.succeed({ cards: [], problems: [{ node: 0, detail }] }))
  )

/** The cards that hold. */
const believed = (cards: ReadonlyArray<JsonObject>, check: SignedCard.Check, node: number) => {
  const good: Array<SignedCard.SignedCard> = []
  const problems: Array<Problem> = []
  for (const value of cards.slice(0, CARDS_MAX)) {
    const decoded = SignedCard.decode(value, check)
    // From here on it is of the node by the id that leads there.
    if (Result.isSuccess(decoded)) good.push({ ...decoded.success, card: { ...decoded.success.card, node } })
    else if (problems.length < PROBLEMS_MAX) problems.push({ node, detail: describe("", decoded.failure) })
  }
  return { cards: good, problems }
}

const describe = (service: string, { detail, reason }: SignedCard.CardRefused): string =>
  `its card${service === "" ? "" : ` of ${service}`} is not believed: ${reason} (${detail})`

const textOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return "it cannot be reached"
  if ("_tag" in error && error._tag === "TimeoutError") return "it does not answer in time"
  return "detail" in error && typeof error.detail === "string" ? error.detail : "it cannot be reached"
}

const NOTHING: Gathered = { cards: [], problems: [] }
/** What the registry tells is shown and typed by people. */
const HOSTNAME = /^[a-z0-9][a-z0-9-]{0,62}(?:@[a-z0-9-]{1,32})?$/
/** Peers asked for one search, and those asked at the same time. */
const PEERS_MAX = 256
const AT_ONCE_MAX = 16
const PEER_TIMEOUT_MS = 8000
const REGISTRY_TIMEOUT = "8 seconds"
const NAME_TIMEOUT = "3 seconds"
/** Cards of one peer that are checked, and of its lies that are told. */
const CARDS_MAX = 256
const PROBLEMS_MAX = 4
