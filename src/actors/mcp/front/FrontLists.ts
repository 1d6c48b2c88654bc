/**
 * The lists that a front shows its client (mcp §6.11): merged, in pages, and, when there are too many tools, a few tools that
 * find the others. Changes are gathered for a moment, and told only if the client would see another list.
 */
import { type Duration, Effect, Fiber, type Scope } from "effect"
import * as Json from "../../../core/data/Json.ts"
import type { Catalog, Item, Kind } from "../../../protocol/mcp/Catalog.ts"
import * as MergedList from "../../../protocol/mcp/MergedList.ts"
import * as MetaTools from "../../../protocol/mcp/MetaTools.ts"
import * as ToolPin from "../../../protocol/mcp/ToolPin.ts"
import type { FrontClient } from "./FrontClient.ts"
import { INVALID_PARAMS, type Refused, refused } from "./FrontRefusal.ts"
import type { FrontServices } from "./FrontServices.ts"

/** `all`: every tool is listed, however many there are. */
export type Mode = MetaTools.Mode | "all"

/** Up to so many tools, with definitions of so many bytes together, all of them are listed in every mode. */
export interface Budget {
  readonly tools: number
  readonly bytes: number
}

/** What the lists are made of. */
export interface Options {
  readonly catalog: Catalog
  readonly client: FrontClient
  readonly services: FrontServices
  readonly hash: (text: string) => string
  readonly mode: Mode
  readonly budget: Budget
  /** How long a list waits for services that do not answer. */
  readonly patience: Duration.Input
  /** Completes when it is known which services there are. */
  readonly ready: Effect.Effect<void>
}

/** The lists of one session. */
export interface FrontLists {
  /** Whether tools are found by searching instead of by listing, and how. */
  readonly metaMode: () => MetaTools.Mode | undefined
  /** The page that a client asks for. */
  readonly page: (kind: Kind, cursor: string | undefined) => Effect.Effect<Json.JsonObject, Refused>
  /** Waits until it is known which services there are, or long enough. */
  readonly known: Effect.Effect<void>
  /** Waits until every service that is up has answered, or long enough. */
  readonly complete: (kind: Kind) => Effect.Effect<void>
  /** Adds tools to those listed by their own names; the oldest make room. */
  readonly reveal: (items: ReadonlyArray<Item>) => Effect.Effect<void>
  /** Something of that kind may have changed. */
  readonly touch: (kind: Kind) => Effect.Effect<void>
}

/** The lists, as they are at any time. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<FrontLists, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const { budget, catalog, client, hash, mode, patience, ready, services } = options
  const revealed = new Set<string>()
  const touched = new Set<Kind>()
  const shown = new Map<Kind, string>()
  let isGathering = false

  const metaMode = () => {
    if (mode === "all") return undefined
    const { bytes, count } = catalog.toolSizes
    return count > budget.tools || bytes > budget.bytes ? mode : undefined
  }

  /** What the client sees. */
  const visible = (kind: Kind): ReadonlyArray<MergedList.Entry> => {
    const meta = kind === "tools" ? metaMode() : undefined
    if (meta === undefined) return catalog.list(kind)
    const tools = MetaTools.definitions(meta).map((value) => ({ alias: "", name: Json.string(value, "name"), value }))
    return MergedList.sorted([...tools, ...[...revealed].flatMap((name) => catalog.tool(name) ?? [])])
  }

  const fingerprint = (kind: Kind): string =>
    kind === "tools" && metaMode() !== undefined
      ? hash(
          visible(kind)
            .map(({ value }) => ToolPin.canonical(value))
            .join("\n")
        )
      : catalog.fingerprint(kind)

  const tell = Effect.fnUntraced(function* (kind: Kind) {
    const before = shown.get(kind)
    const now = fingerprint(kind)
    if (before === undefined || before === now) return
    shown.set(kind, now)
    yield* client.changed(kind)
  })

  const gather = Effect.gen(function* () {
    yield* Effect.sleep(GATHERING)
    isGathering = false
    const kinds = [...touched].filter(services.isWanted)
    touched.clear()
    yield* Effect.forEach(kinds, refresh, { concurrency: "unbounded", discard: true })
  })

  /** Tells of what has come in time, and of the rest when it does: one that does not answer must not hide the others. */
  const refresh = Effect.fnUntraced(function* (kind: Kind) {
    const late = yield* within(services.fetch(kind))
    yield* tell(kind)
    if (late !== undefined) yield* Effect.forkIn(Effect.andThen(Fiber.await(late), tell(kind)), scope)
  })

  /** Runs it for as long as a list waits; gives the fiber that goes on with it if that was not enough. */
  const within = Effect.fnUntraced(function* (fetch: Effect.Effect<void>) {
    const fetching = yield* Effect.forkIn(fetch, scope)
    const done = yield* Effect.timeoutOption(Fiber.await(fetching), patience)
    return done._tag === "Some" ? undefined : fetching
  })

  const touch = (kind: Kind) =>
    Effect.suspend(() => {
      touched.add(kind)
      if (isGathering) return Effect.void
      isGathering = true
      return Effect.asVoid(Effect.forkIn(gather, scope))
    })

  /** Whoever answers later is told as a change. */
  const complete = (kind: Kind): Effect.Effect<void> =>
    Effect.gen(function* () {
      const fetching = yield* within(Effect.andThen(ready, services.fetch(kind)))
      if (fetching === undefined) return
      const late = services.pending(kind).map(({ target: { peer, service } }) => `${peer}/${service}`)
      yield* Effect.logWarning(
        `mcp: a list without ${kind} that have not come yet: ${late.join(", ") || "peers to ask"}`
      )
      yield* Effect.forkIn(Effect.andThen(Fiber.await(fetching), touch(kind)), scope)
    })

  return {
    metaMode,
    known: Effect.asVoid(Effect.timeoutOption(ready, patience)),
    complete,
    touch,
    page: Effect.fnUntraced(function* (kind, cursor) {
      // Pages after the first continue what the first began.
      if (cursor === undefined) yield* complete(kind)
      const page = MergedList.page(visible(kind), cursor)
      if (page === undefined) return yield* refused(INVALID_PARAMS, "This cursor is not of this list.")
      shown.set(kind, fingerprint(kind))
      return { [kind]: page.values, ...(page.nextCursor === undefined ? {} : { nextCursor: page.nextCursor }) }
    }),
    reveal: (items) =>
      Effect.suspend(() => {
        for (const { name } of items) {
          revealed.delete(name)
          revealed.add(name)
        }
        for (const name of revealed) if (revealed.size > REVEALED_MAX) revealed.delete(name)
        return touch("tools")
      })
  }
})

/** A burst of changes is told as one (mcp §6.9). */
const GATHERING = "250 millis"
/** Tools listed by their own names at the same time, after they were found. */
const REVEALED_MAX = 64
