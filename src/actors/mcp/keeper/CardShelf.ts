/**
 * The capability cards of this host's services (mcp §6.11): made of what the servers can do now, less the tools that the
 * owner lets nobody call, signed by the node, given to peers that may use the service and, for public ones, to the registry.
 *
 * Owns the cards and their numbers, which are kept in a file so that they only ever grow. Told by the keeper of peers that
 * ask; it asks the node to sign, and tells the registry through it. While the node is away there are the cards of before.
 */
import { Clock, Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as Provided from "../../../core/actor/Provided.ts"
import * as Json from "../../../core/data/Json.ts"
import * as JsonFile from "../../../core/storage/JsonFile.ts"
import * as CapabilityCard from "../../../protocol/directory/CapabilityCard.ts"
import * as CardExchange from "../../../protocol/directory/CardExchange.ts"
import * as ToolPin from "../../../protocol/mcp/ToolPin.ts"
import * as Policy from "../../../protocol/relay/Policy.ts"
import * as ToolPattern from "../../../protocol/relay/ToolPattern.ts"
import type { Report } from "./ServerProbe.ts"
import type { ServiceInspector } from "./ServiceInspector.ts"
import type { Service } from "./ServiceTable.ts"

/** The node that signs, as far as it can be asked. `publicKey` is base64. */
export interface Signer {
  readonly identity: Effect.Effect<{ readonly node: number; readonly publicKey: string } | undefined>
  /** `{ card, signature }`; undefined while the node cannot be asked. */
  readonly sign: (card: Json.JsonObject) => Effect.Effect<Json.JsonObject | undefined>
  /** Whether the registry has it now; false if it refuses or cannot be asked. */
  readonly publish: (signed: Json.JsonObject) => Effect.Effect<boolean>
  readonly withdraw: (service: string) => Effect.Effect<boolean>
}

/** What a shelf needs. */
export interface Options {
  /** Where the numbers are kept. */
  readonly path: string
  readonly hash: CapabilityCard.Hash
  readonly inspector: ServiceInspector
  readonly signer: Signer
  readonly services: () => Iterable<Service>
}

/** A shelf. */
export interface CardShelf {
  /** The answer to a peer that may use these services, for `CardExchange`. */
  readonly page: (services: ReadonlyArray<Service>, params: Json.JsonObject) => Effect.Effect<Json.JsonObject>
  /** Gives the registry the cards of public services, and takes back those of others. To be done again and again. */
  readonly publish: Effect.Effect<void>
}

/** A shelf with the numbers of the file. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<CardShelf, never, FileSystem.FileSystem | Path.Path> {
  const context = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const clock = yield* Clock.Clock
  const kept = yield* Effect.orElseSucceed(JsonFile.load(options.path, File), () => Option.none())
  let numbers: ReadonlyMap<string, Numbered> = new Map(Object.entries(Option.getOrElse(kept, () => EMPTY).services))
  const current = new Map<string, Current>()
  const nowSeconds = () => Math.floor(clock.currentTimeMillisUnsafe() / 1000)

  const note = (service: string, numbered: Numbered): Effect.Effect<void> => {
    numbers = new Map([...numbers, [service, numbered]])
    return JsonFile.save(options.path, File, { v: 1, services: Object.fromEntries(numbers) }).pipe(
      Effect.catch((error) => Effect.logWarning(`mcp: ${options.path} cannot be written: ${error.detail}`)),
      Effect.provide(context)
    )
  }

  /** The card of a service whose server can do what `report` says: that of before, or a new one if anything changed. */
  const cardOf = Effect.fnUntraced(function* (service: Service, report: Report) {
    const identity = yield* options.signer.identity
    const before = current.get(service.name)
    if (identity === undefined) return before?.signed
    const content = CapabilityCard.make({ ...identity, ...sourceOf(service, report) }, options.hash)
    const text = ToolPin.canonical(CapabilityCard.toObject({ ...content, sequence: 0, issuedAt: 0, expiresAt: 0 }))
    const now = nowSeconds()
    if (before !== undefined && before.text === text && before.expiresAt - now > LIFE_SECONDS / 2) return before.signed
    const last = numbers.get(service.name)
    const sequence = Math.max((last?.sequence ?? 0) + 1, now)
    const card = { ...content, sequence, issuedAt: now, expiresAt: now + LIFE_SECONDS }
    // First the number: one that is used twice would make a liar of this node.
    yield* note(service.name, { sequence, isPublished: last?.isPublished ?? false })
    const signed = yield* options.signer.sign(CapabilityCard.toObject(card))
    if (signed === undefined) return before?.signed
    current.set(service.name, { signed, text, expiresAt: card.expiresAt })
    return signed
  })

  const publishOne = Effect.fnUntraced(function* (service: Service) {
    const inspection = yield* options.inspector.look(service, INSPECTION_WAIT_MS)
    if (inspection?.report.verdict !== "healthy") return
    const signed = yield* cardOf(service, inspection.report)
    if (signed === undefined || !(yield* options.signer.publish(signed))) return
    const last = numbers.get(service.name)
    if (last !== undefined && !last.isPublished) yield* note(service.name, { ...last, isPublished: true })
  })

  const withdrawOthers = Effect.gen(function* () {
    const publicNames = new Set([...options.services()].filter(isPublic).map(({ name }) => name))
    for (const [name, last] of numbers) {
      if (!last.isPublished || publicNames.has(name)) continue
      if (yield* options.signer.withdraw(name)) yield* note(name, { ...last, isPublished: false })
    }
  })

  return {
    page: Effect.fnUntraced(function* (services, params) {
      const cards = new Map<string, Json.JsonObject>()
      const pending: Array<string> = []
      yield* Effect.forEach(
        services,
        (service) =>
          Effect.gen(function* () {
            const inspection = yield* options.inspector.look(service, PAGE_WAIT_MS)
            if (inspection === undefined) return pending.push(service.name)
            if (inspection.report.verdict === "failing") return 0
            const signed = yield* cardOf(service, inspection.report)
            if (signed !== undefined) cards.set(service.name, signed)
            return 0
          }),
        { concurrency: "unbounded", discard: true }
      )
      return CardExchange.page(cards, CardExchange.afterOf(params), pending)
    }),
    publish: Effect.suspend(() =>
      Effect.andThen(
        Effect.forEach([...options.services()].filter(isPublic), publishOne, { discard: true }),
        withdrawOthers
      )
    )
  }
})

const isPublic = (service: Service): boolean => service.rules?.open === "public"

const sourceOf = (service: Service, report: Report): Omit<CapabilityCard.Source, "node" | "publicKey"> => {
  const patterns = service.rules === undefined ? [] : Policy.patternsOf(service.rules).tools
  const shown = report.tools.filter(
    (tool) => patterns.length === 0 || ToolPattern.shows(patterns, Json.string(tool, "name"))
  )
  return {
    service: service.name,
    title: service.title || Json.string(report.serverInfo, "title") || Json.string(report.serverInfo, "name"),
    version: Json.string(report.serverInfo, "version"),
    instructions: report.instructions,
    eras: report.revision === "" ? [] : [report.revision],
    tools: shown,
    isPublic: isPublic(service)
  }
}

interface Numbered {
  readonly sequence: number
  readonly isPublished: boolean
}

interface Current {
  readonly signed: Json.JsonObject
  readonly text: string
  readonly expiresAt: number
}

const File = Schema.Struct({
  v: Schema.Literal(1),
  services: Schema.Record(Schema.String, Schema.Struct({ sequence: Schema.Int, isPublished: Schema.Boolean }))
})
const EMPTY: typeof File.Type = { v: 1, services: {} }
/** A card is in force for a day, and a new one is made when half of it is over. */
const LIFE_SECONDS = 86_400
/** A peer that asks waits so long for servers that nobody has looked at. */
const PAGE_WAIT_MS = 5000
const INSPECTION_WAIT_MS = 60_000
