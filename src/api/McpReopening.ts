/**
 * A client whose session may end while the program goes on: what comes after is asked over a new session, opened when it is
 * wanted. A request that was under way when the session ended fails, and only its own rules say whether it is made again.
 */
import { Effect, Exit, PubSub, Scope, Semaphore, Stream } from "effect"
import { listing, type McpClient, McpError } from "../actors/mcp/client/McpClient.ts"

/** A client over sessions that `open` opens one after the other; the first is opened now. */
export const make = Effect.fnUntraced(function* (
  open: Effect.Effect<McpClient, McpError, Scope.Scope>
): Effect.fn.Return<McpClient, McpError, Scope.Scope> {
  const scope = yield* Effect.scope
  const opening = yield* Semaphore.make(1)
  const heard = yield* PubSub.sliding<Stream.Success<McpClient["notifications"]>>(NOTIFICATIONS_MAX)

  const session = Effect.gen(function* () {
    const own = yield* Scope.fork(scope, "sequential")
    const client = yield* Effect.onError(Scope.provide(open, own), () => Scope.close(own, Exit.void))
    const told = Stream.runForEach(client.notifications, (notification) => PubSub.publish(heard, notification))
    yield* Effect.forkIn(told, own, { startImmediately: true })
    return { client, scope: own }
  })
  let current = yield* session

  /** The session after `over`: whoever comes first opens it, the others wait for it. */
  const after = (over: typeof current) =>
    opening.withPermits(1)(
      Effect.suspend(() => {
        if (current !== over) return Effect.succeed(current)
        return Effect.tap(session, (next) => {
          current = next
          return Scope.close(over.scope, Exit.void)
        })
      })
    )

  const request: McpClient["request"] = (method, params, onProgress) =>
    Effect.suspend(() => {
      const used = current
      return Effect.catchIf(used.client.request(method, params, onProgress), isOver, () =>
        Effect.mapError(after(used), undelivered).pipe(
          Effect.flatMap(({ client }) => client.request(method, params, onProgress))
        )
      )
    })
  return {
    get era() {
      return current.client.era
    },
    request,
    list: listing(request),
    notifications: Stream.fromPubSub(heard)
  }
})

/** The session was over before the request: it was never sent. */
const isOver = ({ delivered, reason }: McpError): boolean => reason === "Closed" && !delivered

/** Whatever went wrong while opening, the request itself was not seen by any server. */
const undelivered = ({ code, message, reason, retryable }: McpError): McpError =>
  new McpError({ reason, code, message, retryable, delivered: false })

const NOTIFICATIONS_MAX = 1024
