/** The further memberships of a node, in `memberships.json`: what was joined is joined again after a restart, in its slot. */
import { Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import { SLOT_MAX } from "../../protocol/wire/LocalNode.ts"
import type { Card } from "../membership/Roster.ts"
import { NodeError } from "./NodeError.ts"
import * as RendezvousText from "./RendezvousText.ts"

/** The file's content. */
export interface Content {
  readonly cards: ReadonlyArray<Card>
  /** The slot given last: the next one is another, so that ids that somebody noted lead nowhere rather than elsewhere. */
  readonly lastSlot: number
}

/** A file that only its owner can read. */
export interface MembershipFile {
  readonly load: Effect.Effect<Content, NodeError>
  /** On disk, synced, when it succeeds. */
  readonly save: (content: Content) => Effect.Effect<void, JsonFile.JsonFileError>
}

/** A damaged file is refused and left as it is. */
export const make = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<MembershipFile, never, FileSystem.FileSystem | Path.Path> {
  const services = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  return {
    load: JsonFile.load(path, Stored).pipe(
      Effect.map(Option.getOrElse((): Content => ({ cards: [], lastSlot: 0 }))),
      Effect.mapError(
        (error) =>
          new NodeError({
            reason: "StateUnusable",
            detail: `cannot use ${path}: ${error.detail}`,
            hint: "restore it, or move it away and join the other rendezvous again"
          })
      ),
      Effect.provideContext(services)
    ),
    save: (content) => Effect.provideContext(JsonFile.save(path, Stored, content), services)
  }
})

/** The content of such a text; `undefined` when it is none, or an alias in it could be no directory of ours. */
export const decode = (text: string): Content | undefined => {
  const content = Option.getOrUndefined(Schema.decodeOption(Schema.fromJsonString(Stored))(text))
  return content?.cards.every(({ alias }) => RendezvousText.ALIAS.test(alias)) === true ? content : undefined
}

const Slot = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: SLOT_MAX }))

const Stored = Schema.Struct({
  cards: Schema.Array(
    Schema.Struct({
      alias: Schema.String,
      slot: Slot,
      registry: Schema.String,
      beacon: Schema.String,
      fingerprint: Schema.optionalKey(Schema.String),
      plaintext: Schema.optionalKey(Schema.Boolean),
      hostname: Schema.optionalKey(Schema.String)
    })
  ),
  lastSlot: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: SLOT_MAX }))
})
