/**
 * What one stream of port 1001 carries beyond single frames: files in chunks, directories, and files that the peer pulls.
 */
import { Cause, Effect, type FileSystem, type Path, Result, type Scope } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Address } from "../../protocol/wire/Address.ts"
import * as ExchangeRequest from "../../protocol/wire/ExchangeRequest.ts"
import * as FileStream from "../../protocol/wire/FileStream.ts"
import type { Trail } from "../audit/AuditTrail.ts"
import type { Guard } from "../policy/PolicyGuard.ts"
import * as ExchangePolicy from "./ExchangePolicy.ts"
import type { ExchangeReplies } from "./ExchangeReplies.ts"
import type { FrameLink } from "./FrameLink.ts"
import * as IncomingFile from "./IncomingFile.ts"
import * as OutgoingFile from "./OutgoingFile.ts"
import * as ReceivedFiles from "./ReceivedFiles.ts"
import * as ReceivedTrees from "./ReceivedTrees.ts"
import * as SharedFiles from "./SharedFiles.ts"

/** The state of one stream. */
export interface SessionRequests {
  readonly chunk: (message: FileStream.FileStream) => Effect.Effect<void>
  readonly ask: (payload: Uint8Array) => Effect.Effect<void>
  /** The peer ended the stream as it should, so it has heard every answer. */
  readonly ended: Effect.Effect<void>
}

/** Whose stream it is, and what it can reach. */
export interface Options<E> {
  readonly home: string
  readonly from: Address
  readonly asker: SharedFiles.Asker
  readonly link: FrameLink<E>
  readonly replies: ExchangeReplies
  readonly received: ReceivedFiles.ReceivedFiles
  readonly digests: SharedFiles.DigestMemory
  readonly guard: Guard
  readonly trail: Trail
}

type Disk = Crypto | FileSystem.FileSystem | Path.Path

/** For one stream, in the surrounding scope. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<SessionRequests, never, Disk | Scope.Scope> {
  const { from, received, replies } = options
  const services = yield* Provided.services<Disk>()
  let tree: ReceivedTrees.Tree | undefined
  let stored: Array<FileStream.FileFacts> = []
  const single = yield* ReceivedFiles.placeFor(received, from)
  const remembering: IncomingFile.Place = {
    open: (file, evict) => Effect.flatMap(place(file), ({ open }) => open(file, evict)),
    commit: (path, file) => Effect.flatMap(place(file), ({ commit }) => commit(path, file)),
    left: (file) =>
      Effect.suspend(() => {
        stored.push(file)
        return Effect.flatMap(place(file), ({ left }) => left(file))
      })
  }
  const place = (_: FileStream.FileFacts): Effect.Effect<IncomingFile.Place> =>
    tree === undefined
      ? Effect.succeed(single)
      : Effect.provideContext(ReceivedTrees.placeFor(received, tree), services)
  const pushing = ExchangePolicy.pushing(options.guard, from.node, remembering)
  const incoming = yield* IncomingFile.make<never>({
    ...pushing,
    write: (bytes) => replies.add(Effect.succeed(bytes))
  })
  const answer = (reply: ExchangeRequest.ExchangeRequest) =>
    replies.add(Effect.succeed(ExchangeRequest.encodeFrame(reply)))
  const leaveTree = Effect.suspend(() => {
    const left = tree
    tree = undefined
    return left === undefined ? Effect.void : Effect.provideContext(ReceivedTrees.leave(received, left), services)
  })
  yield* Effect.addFinalizer(() => leaveTree)
  const finished: Array<ReceivedTrees.Tree> = []

  const perform = Effect.fnUntraced(function* (
    request: ExchangeRequest.ExchangeRequest
  ): Effect.fn.Return<void, ExchangeRequest.Of<"refused"> | IncomingFile.NotTaken, Disk | Scope.Scope> {
    switch (request.op) {
      case "list":
        return yield* answer(yield* SharedFiles.list(options.home, options.asker, request.path))
      case "get":
        return yield* give(options, request.path)
      case "tree":
        yield* leaveTree
        yield* ExchangePolicy.announced(options.guard, from.node)
        tree = yield* ReceivedTrees.open(received, from, request)
        return yield* answer({ op: "ok", name: tree.storedAs ?? "" })
      case "end": {
        if (tree === undefined) return yield* Effect.fail(refuse("Invalid", "no directory was announced"))
        const name = yield* ReceivedTrees.close(received, tree)
        finished.push(tree)
        yield* leaveTree
        return yield* answer({ op: "ok", name })
      }
      default:
        // Answers to nothing we asked.
        return
    }
  })
  return {
    chunk: (message) => {
      // A sender that gives up on a file while it is being stored has not heard that it is.
      if (message._tag === "Abort")
        stored = stored.filter(({ digest }) => !Bytes.equals(FileStream.idOf(digest), message.id))
      return incoming.receive(message)
    },
    ask: (payload) => {
      const request = ExchangeRequest.decode(payload)
      return Result.isFailure(request)
        ? answer(refuse("Invalid", "not a request that this node knows"))
        : perform(request.success).pipe(
            Effect.catch((error) => answer("op" in error ? error : refused(error))),
            Effect.scoped,
            Effect.provideContext(services)
          )
    },
    ended: Effect.suspend(() =>
      Effect.forEach(stored, (file) => ReceivedFiles.forget(received, from, file), { discard: true })
    ).pipe(
      Effect.andThen(Effect.forEach(finished, ReceivedTrees.forget, { discard: true })),
      Effect.provideContext(services)
    )
  }
})

/** A file goes out in chunks; of a directory first the list, and then the peer asks for each. */
const give = Effect.fnUntraced(function* <E>(options: Options<E>, path: string) {
  const { asker, digests, guard, home, replies, trail } = options
  const answer = (reply: ExchangeRequest.ExchangeRequest) =>
    replies.add(Effect.succeed(ExchangeRequest.encodeFrame(reply)))
  const found = yield* SharedFiles.find(home, asker, path)
  if (found._tag === "Directory") return yield* answer(yield* SharedFiles.manifest(found, asker, path))
  const wish = { service: "files/pull", target: path } as const
  const allowed = guard.ask(options.from.node, wish, found.isExposed, true)
  if (!allowed.isAllowed) return yield* Effect.fail(refuse("Failed", allowed.text))
  yield* Effect.addFinalizer(() => Effect.sync(allowed.release))
  const link = ExchangePolicy.paced(options.link, allowed)
  let told = 0
  const version = yield* digests.read(found.path, (done, of) => {
    if (done - told < HASHED_BETWEEN_SIGNS) return Effect.void
    told = done
    return answer({ op: "hashing", done, of })
  })
  const { digest, sizeBytes } = version
  trail.record({ kind: "file.pulled", node: options.from.node, facts: { name: path, bytes: sizeBytes } })
  yield* answer({ op: "sending", name: found.name, bytes: sizeBytes })
  // From here on the link is the sender's alone.
  yield* replies.flushed
  const file = { sizeBytes, digest, chunkBytes: FileStream.CHUNK_BYTES, name: found.name }
  yield* OutgoingFile.run(link, { path: found.path, file }).pipe(
    Effect.catchCause((cause) => (Cause.hasInterrupts(cause) ? Effect.interrupt : Effect.void))
  )
})

const refuse = (reason: ExchangeRequest.Refusal, detail: string): ExchangeRequest.Of<"refused"> => ({
  op: "refused",
  reason,
  detail
})

const refused = ({ detail, reason }: IncomingFile.NotTaken): ExchangeRequest.Of<"refused"> =>
  refuse(reason === "Full" ? "Full" : reason === "Name" ? "Invalid" : "Failed", detail)

/** Bytes read between two signs of life. */
const HASHED_BETWEEN_SIGNS = 256 << 20
