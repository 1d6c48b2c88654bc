/**
 * What is said to a router that speaks UPnP (Internet Gateway Device 1 and 2): a search by UDP (SSDP, UPnP Device Architecture
 * §1.3), its description in XML, and SOAP calls of its WAN connection (§3). Only what these need is read, by looking for
 * elements by name, in time linear in a text whose length the caller bounds: nothing is expanded, and no schema is loaded.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"

/** Where searches go, besides port 1900 of the gateway itself (§1.3.2, §1.3.3). */
export const GROUP = { host: "239.255.255.250", port: 1900 } as const

/** The service that gives ports, and where it is called: an absolute URL. */
export interface WanConnection {
  readonly type: string
  readonly control: URL
}

/** Something that is called there. */
export type Action =
  | { readonly name: "GetExternalIPAddress" }
  | { readonly name: "DeletePortMapping"; readonly externalPort: number }
  | {
      readonly name: "AddPortMapping" | "AddAnyPortMapping"
      readonly externalPort: number
      readonly internalPort: number
      readonly client: string
      /** Seconds; 0 is for ever. */
      readonly lifetimeSeconds: number
    }

/** Is there a router? Devices of version 2 answer for version 1 as well. */
export const search: Uint8Array = Bytes.fromUtf8(
  [
    "M-SEARCH * HTTP/1.1",
    `HOST: ${GROUP.host}:${GROUP.port}`,
    'MAN: "ssdp:discover"',
    "MX: 1",
    "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "",
    ""
  ].join("\r\n")
)

/** Where the description is, if that is an answer to a search, and if it is at `host`: nobody else is asked anything. */
export const location = (answer: Uint8Array, host: string): URL | undefined => {
  if (answer.length > ANSWER_BYTES_MAX) return undefined
  const [status = "", ...headers] = Bytes.toUtf8Lossy(answer).split("\r\n")
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return undefined
  const line = headers.find((header) => /^location:/i.test(header))
  return line === undefined ? undefined : at(line.slice("location:".length).trim(), undefined, host)
}

/** The service in a description that was fetched from `base`; control URLs that lead to another host are none. */
export const wanConnection = (description: string, base: URL): WanConnection | undefined => {
  const stated = element(description, "URLBase")
  const from = (stated !== undefined && at(stated, base, base.hostname)) || base
  const found = description
    .split("<service>")
    .slice(1, 1 + SERVICES_MAX)
    .flatMap((service) => {
      const type = element(service, "serviceType") ?? ""
      const control = at(element(service, "controlURL") ?? "", from, base.hostname)
      return TYPES.includes(type) && control !== undefined ? [{ type, control }] : []
    })
  return found.toSorted((a, b) => TYPES.indexOf(a.type) - TYPES.indexOf(b.type))[0]
}

/** Only the second version gives another port when the wanted one is taken. */
export const givesAnyPort = ({ type }: WanConnection): boolean => type === TYPES[0]

/** A SOAP call: headers and body of a POST to `control`. */
export const call = ({ type }: WanConnection, action: Action) => ({
  headers: { "Content-Type": 'text/xml; charset="utf-8"', SOAPAction: `"${type}#${action.name}"` },
  body:
    '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action.name} xmlns:u="${type}">${argumentsOf(action)}</u:${action.name}></s:Body></s:Envelope>\r\n`
})

/** The outside address in the answer to `GetExternalIPAddress`; an IPv4 literal or nothing. */
export const externalHost = (answer: string): string | undefined => {
  const text = element(answer, "NewExternalIPAddress") ?? ""
  return IpAddress.parse(text)?.length === 4 ? text : undefined
}

/** The port in the answer to `AddAnyPortMapping`. */
export const reservedPort = (answer: string): number | undefined => number(element(answer, "NewReservedPort"))

/** Why a call was refused (§3.2.2). */
export const errorCode = (answer: string): number | undefined => number(element(answer, "errorCode"))

/** The port is somebody else's. */
export const CONFLICT = 718
/** A router that knows no end of mappings. */
export const ONLY_PERMANENT = 725

const argumentsOf = (action: Action): string => {
  if (action.name === "GetExternalIPAddress") return ""
  const which = `<NewRemoteHost></NewRemoteHost><NewExternalPort>${action.externalPort}</NewExternalPort><NewProtocol>UDP</NewProtocol>`
  if (action.name === "DeletePortMapping") return which
  return (
    `${which}<NewInternalPort>${action.internalPort}</NewInternalPort><NewInternalClient>${action.client}</NewInternalClient>` +
    `<NewEnabled>1</NewEnabled><NewPortMappingDescription>effect-pilot</NewPortMappingDescription>` +
    `<NewLeaseDuration>${action.lifetimeSeconds}</NewLeaseDuration>`
  )
}

/** The text of the first element of that name; none if it has others inside, or is longer than anything asked for. */
const element = (text: string, name: string): string | undefined => {
  const opened = text.indexOf(`<${name}>`)
  if (opened < 0) return undefined
  const begin = opened + name.length + 2
  const inside = text.slice(begin, begin + VALUE_CHARACTERS_MAX)
  const end = inside.indexOf("<")
  return end >= 0 && inside.startsWith(`</${name}`, end) ? inside.slice(0, end).trim() : undefined
}

const at = (text: string, base: URL | undefined, host: string): URL | undefined => {
  if (text === "" || !URL.canParse(text, base?.href)) return undefined
  const url = new URL(text, base?.href)
  return url.protocol === "http:" && url.hostname === host && url.username === "" && url.password === ""
    ? url
    : undefined
}

const number = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : undefined

/** The best first. Anything else is not put into a call. */
const TYPES = [
  "urn:schemas-upnp-org:service:WANIPConnection:2",
  "urn:schemas-upnp-org:service:WANIPConnection:1",
  "urn:schemas-upnp-org:service:WANPPPConnection:1"
]
/** An answer to a search is one datagram with a few headers. */
const ANSWER_BYTES_MAX = 2_048
/** Routers have about five. */
const SERVICES_MAX = 64
const VALUE_CHARACTERS_MAX = 512
