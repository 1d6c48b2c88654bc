/** Histories of keys in `chains.json` beside the pins, ours alone: `{"chains": [{"node_id": 1, "anchor": …, "learnt": […]}]}`. */
import { Effect, type FileSystem, type Path } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import type { KeyHistory } from "../../protocol/identity/KeyHistory.ts"
import * as KeyHistoryText from "../../protocol/identity/KeyHistoryText.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import type { ChainStore } from "./PeerChains.ts"
import * as StateText from "./StateText.ts"

/** Reads the text; `undefined` when any part is not as written: a fork that is forgotten would be a way around it. */
export const decode = (text: string): ReadonlyMap<NodeId, KeyHistory> | undefined => {
  const file = Json.parseObject(text)
  const rows = file === undefined ? [] : Json.objects(file, "chains")
  if (file === undefined || rows.length !== Json.list(file, "chains").length || !("chains" in file)) return undefined
  const histories = new Map<NodeId, KeyHistory>()
  for (const row of rows) {
    const node = NodeId(Json.unsigned(row, "node_id", 32))
    const history = KeyHistoryText.decode(row)
    if (node === 0 || history === undefined) return undefined
    histories.set(node, history)
  }
  return histories
}

/** Writes the text. */
export const encode = (histories: ReadonlyMap<NodeId, KeyHistory>): string =>
  JSON.stringify(
    { chains: [...histories].map(([node, history]) => ({ node_id: node, ...KeyHistoryText.encode(history) })) },
    undefined,
    2
  )

/** A file that only its owner can read. `failure` is what a damaged or unreadable one fails with. */
export const store = Effect.fn("ChainFile.store")(function* <E>(
  path: string,
  failure: (detail: string) => E
): Effect.fn.Return<ChainStore<E>, never, FileSystem.FileSystem | Path.Path> {
  const services = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  return {
    load: StateText.read(path).pipe(
      Effect.mapError((error) => failure(error.message)),
      Effect.flatMap((text) => {
        const histories = text === undefined ? new Map<NodeId, KeyHistory>() : decode(text)
        return histories === undefined
          ? Effect.fail(failure("it is damaged; restore it, or delete it and ask the owners of rotated keys again"))
          : Effect.succeed(histories)
      }),
      Effect.provide(services)
    ),
    save: (histories) =>
      AtomicFile.write(path, encode(histories), { mode: AtomicFile.OWNER_ONLY }).pipe(Effect.provide(services))
  }
})
