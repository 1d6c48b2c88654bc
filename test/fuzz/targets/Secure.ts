/** What follows the keys on a secure channel: frames, changed, cut and repeated. */
import { Result } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyDerivation from "../../../src/protocol/tunnel/KeyDerivation.ts"
import { SecureChannel } from "../../../src/protocol/tunnel/SecureChannel.ts"
import * as SecureFrame from "../../../src/protocol/wire/SecureFrame.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame } from "../Oracle.ts"

const { secure_channel: legacy, secure_channel_new: later } = vectors
const derived = KeyDerivation.secureChannelKeys(hex(legacy.shared_secret), NativeCrypto.crypto)
const keys = {
  legacy: NativeCrypto.crypto.aes256Gcm(derived.legacy),
  later: NativeCrypto.crypto.aes256Gcm(derived.later)
}
const frames = [...legacy.frames, ...later.frames].map(({ frame }) => hex(frame))
const genuine = new Set([...legacy.frames, ...later.frames].map(({ plaintext }) => plaintext))

/** In one chunk and in many it says the same, and nothing opens that nobody sealed. */
const heard = (bytes: Uint8Array): unknown => {
  const server = () => new SecureChannel({ role: "server", keys, preferred: "later" })
  const whole = server().push(bytes)
  const bitwise = server()
  const texts: Array<string> = []
  let failure: unknown
  for (let at = 0; at < bytes.length && failure === undefined; at += PIECE_BYTES) {
    const opened = bitwise.push(bytes.slice(at, at + PIECE_BYTES))
    texts.push(...opened.plaintexts.map(Bytes.toHex))
    failure = opened.failure
  }
  assertSame([texts, failure], [whole.plaintexts.map(Bytes.toHex), whole.failure], "the chunks change what is heard")
  const forged = texts.find((text) => !genuine.has(text))
  if (forged !== undefined) throw new Error(`opened what nobody sealed: ${forged}`)
  const decoded = SecureFrame.decode(bytes)
  return [texts, failure, Result.isSuccess(decoded) ? decoded.success.counter : decoded.failure]
}

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "secure/channel",
    covers: [SecureFrame.decode],
    samples: () => [...frames, Bytes.concat(...frames.slice(0, 3)), Bytes.concat(frames[4]!, frames[4]!)],
    decode: heard
  })
]

const PIECE_BYTES = 5
