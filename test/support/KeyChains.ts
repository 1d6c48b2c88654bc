/** An identity that changes its keys, and whoever else signs: real keys from small numbers. */
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as KeyHistory from "../../src/protocol/identity/KeyHistory.ts"
import * as KeySigning from "../../src/protocol/identity/KeySigning.ts"
import * as KeyStatement from "../../src/protocol/identity/KeyStatement.ts"

/** The key pair of a number; the same one each time. */
export const key = (fill: number): KeySigning.Signer => {
  const known = KEYS.get(fill) ?? NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(fill))
  KEYS.set(fill, known)
  return known
}

/** The real check, which remembers its answers: properties ask the same thousands of times. */
export const verify: KeyStatement.Verify = (publicKey, message, signature) => {
  const question = Bytes.toHex(Bytes.concat(publicKey, signature, message))
  const answer = ANSWERS.get(question) ?? NativeCrypto.crypto.verify(publicKey, message, signature)
  ANSWERS.set(question, answer)
  return answer
}

/** Seconds of a day, for times that are easy to read. */
export const DAY = 86_400

/** When the stories of the tests begin. */
export const BEGIN = 1_800_000_000

/** What a statement says, in numbers of keys; `recovery` 0 is none. */
export interface Words {
  readonly by?: KeyStatement.Signer
  readonly sequence?: number
  readonly recovery?: number
  readonly unixSeconds?: number
}

/** `key` names `next` as its successor. */
export const rotate = (from: number, next: number, words: Words = {}): KeyStatement.KeyStatement =>
  signed({ ...draft(from, words), kind: "rotate", next: key(next).publicKey }, key(next))

/** `from` says that `next` shall not follow. */
export const cancel = (from: number, next: number, words: Words = {}): KeyStatement.KeyStatement =>
  signed({ ...draft(from, { sequence: 0, ...words }), kind: "cancel", next: key(next).publicKey })

/** `recovery` may decide for `from`; by `before`, the recovery key until now, if it is given. */
export const enrol = (from: number, recovery: number, before?: number): KeyStatement.KeyStatement =>
  signed(
    {
      ...draft(from, { sequence: 0, recovery, by: before === undefined ? "key" : "recovery" }),
      kind: "enrol",
      next: before === undefined ? Bytes.empty : key(before).publicKey
    },
    key(recovery)
  )

/** A reader who begins with a key and sees statements, each at a day of the story. */
export const reader = (
  anchor: number,
  seen: ReadonlyArray<readonly [day: number, statement: KeyStatement.KeyStatement]>,
  first: ReadonlyArray<KeyStatement.KeyStatement> = []
): KeyHistory.KeyHistory => {
  const begun = KeyHistory.learn(KeyHistory.begin(key(anchor).publicKey), first, {
    atSeconds: BEGIN,
    isFirst: true,
    verify
  })
  return seen.reduce(
    (history, [day, statement]) =>
      KeyHistory.learn(history, [statement], { atSeconds: BEGIN + day * DAY, isFirst: false, verify }),
    begun
  )
}

/** The number of a key that was made here. */
export const numberOf = (publicKey: Uint8Array): number | undefined =>
  [...KEYS].find(([, made]) => Bytes.equals(made.publicKey, publicKey))?.[0]

const KEYS = new Map<number, KeySigning.Signer>()
const ANSWERS = new Map<string, boolean>()

const draft = (from: number, { by = "key", recovery = 0, sequence = 1, unixSeconds = BEGIN }: Words) => ({
  signer: by,
  sequence,
  unixSeconds,
  key: key(from).publicKey,
  recovery: recovery === 0 ? Bytes.empty : key(recovery).publicKey
})

/** Signed by whoever must; the keys of numbers are all known here. */
const signed = (words: KeyStatement.Draft, consenting?: KeySigning.Signer): KeyStatement.KeyStatement => {
  const signer = [...KEYS.values()].find((made) => Bytes.equals(made.publicKey, KeyStatement.signerKey(words)))
  if (signer === undefined) throw new TypeError("nobody here has that key")
  return KeySigning.sign(words, signer, consenting)
}
