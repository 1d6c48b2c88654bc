/**
 * SOCKS version 5 (RFC 1928) as a gateway answers it: greeting, user and password (RFC 1929), CONNECT by name. Pure: what
 * arrived so far in, one step out.
 */
import { Data } from "effect"

/** What a client wants next, or why it gets nothing. `usedBytes` are its bytes that the step has read. */
export type Step = Data.TaggedEnum<{
  /** More bytes are needed. */
  NeedMore: {}
  /** It has offered these methods; answered with `chose`. */
  Greeted: { readonly methods: ReadonlySet<number>; readonly usedBytes: number }
  /** Its user and password; answered with `admitted`. */
  Authenticated: { readonly user: string; readonly password: string; readonly usedBytes: number }
  /** It wants a stream to there; answered with `reply`. */
  Connect: { readonly host: string; readonly port: number; readonly usedBytes: number }
  /** It speaks something else, or wants what is not offered; `reply` is written before the end, if there is one. */
  Refused: { readonly reply: Uint8Array | undefined; readonly detail: string }
}>

/** Constructors and matchers. */
export const Step = Data.taggedEnum<Step>()

/** Codes of RFC 1928 §6. */
export const Reply = {
  Succeeded: 0,
  GeneralFailure: 1,
  NotAllowed: 2,
  NetworkUnreachable: 3,
  HostUnreachable: 4,
  Refused: 5,
  Expired: 6,
  CommandNotSupported: 7,
  AddressTypeNotSupported: 8
} as const
/** One of them. */
export type Reply = (typeof Reply)[keyof typeof Reply]

/** Methods of RFC 1928 §3. */
export const Method = { None: 0, Password: 2, Unacceptable: 0xff } as const

/** `version, count, methods`. */
export const greeting = (bytes: Uint8Array): Step => {
  const [version, count] = bytes
  if (version !== undefined && version !== VERSION) return refused(undefined, `version ${version} is not spoken`)
  if (count === undefined || bytes.length < 2 + count) return Step.NeedMore()
  return Step.Greeted({ methods: new Set(bytes.subarray(2, 2 + count)), usedBytes: 2 + count })
}

/** `version, length, user, length, password`; the version is that of the sub-negotiation, 1. */
export const credentials = (bytes: Uint8Array): Step => {
  const [version, userBytes] = bytes
  if (version !== undefined && version !== CREDENTIALS_VERSION) return refused(undefined, "no user and password came")
  if (userBytes === undefined) return Step.NeedMore()
  const passwordBytes = bytes[2 + userBytes]
  const usedBytes = 3 + userBytes + (passwordBytes ?? 0)
  if (passwordBytes === undefined || bytes.length < usedBytes) return Step.NeedMore()
  return Step.Authenticated({
    user: UTF8.decode(bytes.subarray(2, 2 + userBytes)),
    password: UTF8.decode(bytes.subarray(3 + userBytes, usedBytes)),
    usedBytes
  })
}

/** `version, command, 0, type, address, port`. IP literals are read, so that the refusal can name them. */
export const request = (bytes: Uint8Array): Step => {
  const [version, command, , type, nameBytes] = bytes
  if (version !== undefined && version !== VERSION) return refused(undefined, `version ${version} is not spoken`)
  if (nameBytes === undefined || type === undefined) return Step.NeedMore()
  if (command !== CONNECT) return refused(reply(Reply.CommandNotSupported), "only CONNECT is offered")
  const address = ADDRESS_TYPES.get(type)
  if (address === undefined) return refused(reply(Reply.AddressTypeNotSupported), `address type ${type}`)
  const begin = type === DOMAIN ? 5 : 4
  const end = begin + (type === DOMAIN ? nameBytes : address.sizeBytes)
  if (bytes.length < end + 2) return Step.NeedMore()
  return Step.Connect({
    host: address.read(bytes.subarray(begin, end)),
    port: ((bytes[end] ?? 0) << 8) | (bytes[end + 1] ?? 0),
    usedBytes: end + 2
  })
}

/** The answer to a greeting. */
export const chose = (method: (typeof Method)[keyof typeof Method]): Uint8Array => Uint8Array.of(VERSION, method)

/** The answer to user and password. */
export const admitted = (isRight: boolean): Uint8Array => Uint8Array.of(CREDENTIALS_VERSION, isRight ? 0 : 1)

/** The answer to a request. The address is nobody's: a virtual port has none that a client could use. */
export const reply = (code: Reply): Uint8Array => Uint8Array.of(VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0)

const refused = (reply: Uint8Array | undefined, detail: string): Step => Step.Refused({ reply, detail })

/** The first byte of a client that speaks this. */
export const VERSION = 5
const CREDENTIALS_VERSION = 1
const CONNECT = 1
const IPV4 = 1
const DOMAIN = 3
const IPV6 = 4
const UTF8 = new TextDecoder()

const ADDRESS_TYPES = new Map([
  [IPV4, { sizeBytes: 4, read: (bytes: Uint8Array) => bytes.join(".") }],
  [DOMAIN, { sizeBytes: 0, read: (bytes: Uint8Array) => UTF8.decode(bytes) }],
  [IPV6, { sizeBytes: 16, read: (bytes: Uint8Array) => `[${hextets(bytes)}]` }]
])

const hextets = (bytes: Uint8Array): string =>
  Array.from({ length: 8 }, (_, at) => (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16)).join(":")
