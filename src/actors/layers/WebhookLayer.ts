/** Wires the webhook of a node: the operator's URL, the secret that signs, and the file of what could not be told. */
import { Effect, FileSystem, type Path, type Scope } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { WebhookPost } from "../../core/net/WebhookPost.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as WebhookActor from "../webhook/WebhookActor.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import { NodeError } from "./NodeError.ts"

/** Starts it in the surrounding scope. */
export const start = Effect.fnUntraced(function* (
  config: NodeConfig
): Effect.fn.Return<
  WebhookActor.Running,
  NodeError,
  Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope | WebhookPost
> {
  const secret = yield* secretIn(`${config.home}/webhook.key`)
  return yield* WebhookActor.spawn({
    url: config.webhook,
    allowed: config.webhookAllow === "" ? [] : config.webhookAllow.split(","),
    secret,
    deadLetters: `${config.home}/webhook-dead.jsonl`
  }).pipe(
    Effect.mapError(
      ({ detail }) => new NodeError({ reason: "StateUnusable", detail, hint: "name another with --webhook, or none" })
    )
  )
})

/** 64 hexadecimal digits, made at the first start. The receiver is given the same text, whose bytes are the key. */
const secretIn = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const { randomBytes } = yield* Crypto
  const stored = yield* Effect.orElseSucceed(files.readFileString(path), () => "")
  if (/^[0-9a-f]{64}\n?$/.test(stored)) return Bytes.fromUtf8(stored.trim())
  const made = Bytes.toHex(randomBytes(SECRET_BYTES))
  yield* Effect.mapError(
    AtomicFile.write(path, `${made}\n`, { mode: AtomicFile.OWNER_ONLY }),
    (error) =>
      new NodeError({
        reason: "StateUnusable",
        detail: `cannot write ${path}: ${error.message}`,
        hint: "make room on the disk, or choose another state directory with PILOT_HOME"
      })
  )
  return Bytes.fromUtf8(made)
})

const SECRET_BYTES = 32
