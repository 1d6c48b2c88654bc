/** What the policy says of files that a peer pushes and pulls: whether, how many at a time, and how fast. */
import { Effect } from "effect"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { FileFacts } from "../../protocol/wire/FileStream.ts"
import { type Answer, FREE, type Guard } from "../policy/PolicyGuard.ts"
import type { FrameLink } from "./FrameLink.ts"
import { NotTaken, type Place } from "./IncomingFile.ts"

/** Files that come on one stream, one after the other. */
export interface Pushing {
  readonly place: Place
  /** How much is there; waits for as long as the policy wants. */
  readonly progress: (doneBytes: number, file: FileFacts) => Effect.Effect<void>
}

/** Takes what the policy lets pass to `place`. */
export const pushing = (guard: Guard, node: NodeId, place: Place): Pushing => {
  let answer: Answer = FREE
  let seenBytes: number | undefined
  return {
    place: {
      open: (file, evict) =>
        Effect.suspend(() => {
          answer.release()
          answer = guard.ask(node, { service: "files/push" }, true, true)
          seenBytes = undefined
          return answer.isAllowed ? place.open(file, evict) : new NotTaken({ reason: "Failed", detail: answer.text })
          // What is not taken is not under way, and nobody says that it has left.
        }).pipe(Effect.onError(() => Effect.sync(() => answer.release()))),
      commit: place.commit,
      left: (file) =>
        Effect.suspend(() => {
          answer.release()
          return place.left(file)
        })
    },
    progress: (doneBytes) => {
      if (!answer.isBounded) return Effect.void
      // What an earlier attempt brought was paid for then.
      const newBytes = doneBytes - (seenBytes ?? doneBytes)
      seenBytes = doneBytes
      return paused(answer, newBytes)
    }
  }
}

/** A directory that is announced: its files are counted one by one. */
export const announced = (guard: Guard, node: NodeId): Effect.Effect<void, NotTaken> =>
  Effect.suspend(() =>
    guard.permits(node, { service: "files/push" }, true)
      ? Effect.void
      : new NotTaken({ reason: "Failed", detail: "the policy of this node denies it" })
  )

/** A link that writes no faster than the policy wants. */
export const paced = <E>(link: FrameLink<E>, answer: Answer): FrameLink<E> =>
  answer.isBounded
    ? { ...link, write: (bytes) => Effect.andThen(link.write(bytes), paused(answer, bytes.length)) }
    : link

/** What a peer may see and pull of the shares, the path begins with the name of one. */
export const mayPull =
  (guard: Guard, node: NodeId) =>
  (path: string, isExposed: boolean): boolean =>
    guard.permits(node, { service: "files/pull", target: path }, isExposed)

const paused = (answer: Answer, sizeBytes: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const waitMs = answer.spend(sizeBytes)
    return waitMs > 0 ? Effect.sleep(waitMs) : Effect.void
  })
