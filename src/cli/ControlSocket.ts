/** One question to a process of ours that runs beside the daemon, on a socket that only the owner can open. */
import { Effect, Result, type Schema } from "effect"
import * as ControlLines from "../actors/ipc/ControlLines.ts"
import { LocalSocket, type LocalSocketError } from "../core/net/LocalSocket.ts"
import * as CliError from "./CliError.ts"
import { CliHost } from "./CliHost.ts"
import type { Environment } from "./Command.ts"

/** Who is asked, and how it speaks. */
export interface Asked<Request, RequestText, Reply, ReplyText> {
  /** As messages call it: `keeper`. */
  readonly name: string
  readonly path: string
  readonly request: Schema.Codec<Request, RequestText>
  readonly reply: Schema.Codec<Reply, ReplyText>
  readonly timeout: `${number} seconds`
}

/** A refusal, as all of these processes word it. */
interface Refused {
  readonly ok: false
  readonly code: string
  readonly detail: string
  readonly hint?: string | undefined
}

/** What it answers; undefined if none runs. A refusal is the command's own error. */
export const ask = <Request, RequestText, Reply extends { readonly ok: boolean }, ReplyText>(
  { name, path, reply, request, timeout }: Asked<Request, RequestText, Reply | Refused, ReplyText>,
  question: Request
): Effect.Effect<Exclude<Reply, Refused> | undefined, CliError.CliError, Environment> =>
  Effect.gen(function* () {
    const { effectiveUid, uid } = yield* CliHost
    const local = yield* LocalSocket
    const connected = yield* Effect.result(local.connect(path, [uid, effectiveUid]))
    if (Result.isFailure(connected)) {
      return connected.failure.reason === "NotServed" ? undefined : yield* unusable(connected.failure)
    }
    const answer = yield* ControlLines.make(connected.success, reply, request).pipe(
      Effect.flatMap((lines) => Effect.andThen(lines.write(question), lines.read)),
      Effect.timeout(timeout),
      Effect.mapError((error) => CliError.make("connection_failed", `the ${name} does not answer: ${error.message}`))
    )
    if (isRefused(answer)) return yield* CliError.make(CliError.codeOf(answer.code), answer.detail, answer.hint)
    return answer as Exclude<Reply, Refused>
  }).pipe(Effect.scoped)

const isRefused = (answer: { readonly ok: boolean }): answer is Refused => !answer.ok

const unusable = ({ detail, path, reason }: LocalSocketError): CliError.CliError =>
  CliError.make(
    reason === "WrongOwner" || reason === "PermissionDenied" ? "permission_denied" : "connection_failed",
    `socket ${path}: ${detail}`,
    reason === "PathTooLong" ? "set PILOT_HOME to a shorter path" : undefined
  )
