/**
 * What a running rendezvous leaves in its state directory (0600), so that a node of the same user finds and pins it
 * without flags.
 */
import { Effect, FileSystem } from "effect"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import type { CliHost } from "../CliHost.ts"
import * as ConfigFile from "../ConfigFile.ts"

/** Addresses as a process on this host reaches them. */
export interface RendezvousCard {
  readonly registry: string
  readonly beacon: string
  readonly fingerprint: string
  readonly wss: string | undefined
  readonly http: string | undefined
  readonly store: string | undefined
}

/** The card, if a rendezvous runs from this state directory. */
export const read: Effect.Effect<RendezvousCard | undefined, never, CliHost | FileSystem.FileSystem> = Effect.gen(
  function* () {
    const { rendezvousCard } = yield* ConfigFile.directory
    const card = yield* ConfigFile.read(rendezvousCard)
    const [registry, beacon, fingerprint] = ["registry", "beacon", "fingerprint"].map((key) => Json.string(card, key))
    if (!registry || !beacon || !fingerprint) return undefined
    return {
      registry,
      beacon,
      fingerprint,
      wss: text(card, "wss"),
      http: text(card, "http"),
      store: text(card, "store")
    }
  }
)

/** Leaves the card until the scope ends. */
export const publish = Effect.fnUntraced(function* (card: RendezvousCard) {
  const files = yield* FileSystem.FileSystem
  const { rendezvousCard } = yield* ConfigFile.directory
  yield* AtomicFile.write(rendezvousCard, `${GoJson.encodeIndented({ ...card })}\n`, { mode: AtomicFile.OWNER_ONLY })
  yield* Effect.addFinalizer(() => Effect.ignore(files.remove(rendezvousCard)))
})

const text = (card: Json.JsonObject, key: string): string | undefined => Json.string(card, key) || undefined
