import { parseDocument } from 'yaml';
import { z } from 'zod';
import { PublicKeys, usableJwks } from './public-keys.ts';
import { parseCertificate, type Certificate } from './x509/certificate.ts';

/** What one trust domain publishes at one moment: who may sign for its workloads. */
export interface Bundle {
  readonly jwtAuthorities: PublicKeys;
  readonly x509Authorities: readonly Certificate[];
  readonly sequence: number | undefined;
  readonly refreshHintSeconds: number | undefined;
  /** For whoever runs it: what was passed over, one text each. */
  readonly passedOver: readonly string[];
}

/** SPIFFE bundle (Trust Domain and Bundle section 4); a sequence beyond what a number holds exactly is refused. */
const document = z.object({
  keys: z.array(z.unknown()),
  spiffe_sequence: z.int().nonnegative().optional(),
  spiffe_refresh_hint: z.int().nonnegative().optional(),
});
const x509Authority = z.object({ kty: z.enum(['EC', 'RSA', 'OKP']), use: z.literal('x509-svid'), kid: z.never().optional(), x5c: z.tuple([z.string()], z.unknown()) });
const use = z.object({ use: z.string() });

/** No honest bundle is larger, and an endpoint's answer ends here too. */
const MAX_CHARS = 1024 * 1024;

/**
 * Parses a bundle. A key that is not understood is passed over alone (section 4.1.3); what makes the whole of it doubtful is
 * a `TypeError`, a `SyntaxError` or a `ZodError`: no JSON, a member that stands in it twice, no list of keys.
 */
export function parseBundle(text: string): Bundle {
  const parsed = parsedDocument(text);
  const passedOver: string[] = [];
  const x509Authorities = parsed.keys.flatMap((key, index) => {
    const { data } = x509Authority.safeParse(key);
    if (data === undefined) {
      if (use.safeParse(key).data?.use === 'x509-svid') passedOver.push(`keys[${index}]: an X.509 authority has a certificate in x5c and no kid`);
      return [];
    }
    try {
      // Only the first: what follows it is no authority (X509-SVID section 6.2).
      return [parseCertificate(Buffer.from(data.x5c[0], 'base64'))];
    } catch {
      passedOver.push(`keys[${index}]: what is in x5c is no certificate`);
      return [];
    }
  });
  const jwts = usableJwks(parsed.keys).filter((jwk) => jwk.use === 'jwt-svid');
  if (jwts.some(({ kid }) => kid === undefined)) passedOver.push('a JWT authority without kid');
  return {
    jwtAuthorities: new PublicKeys(jwts.filter(({ kid }) => kid !== undefined)),
    x509Authorities,
    sequence: parsed.spiffe_sequence,
    refreshHintSeconds: parsed.spiffe_refresh_hint,
    passedOver,
  };
}

function parsedDocument(text: string): z.infer<typeof document> {
  if (text.length > MAX_CHARS) throw new TypeError('the bundle is larger than 1 MiB');
  const parsed = document.parse(JSON.parse(text));
  // JSON.parse silently keeps the last of two members with one name, another parser the first (section 5.1).
  if (parseDocument(text, { schema: 'json', uniqueKeys: true, prettyErrors: false }).errors.some(({ code }) => code === 'DUPLICATE_KEY')) throw new TypeError('a member stands in the bundle twice');
  return parsed;
}

/**
 * Parses the JWT authorities that the Workload API gives: a plain JWK Set, whose keys may leave out `use` since all of them are of
 * one kind (Workload API section 6.2.2). Throws as `parseBundle` does.
 */
export function parseJwtBundle(text: string): Bundle {
  const jwts = usableJwks(parsedDocument(text).keys).filter(({ use, kid }) => kid !== undefined && (use === undefined || use === 'jwt-svid'));
  return { ...x509Bundle([]), jwtAuthorities: new PublicKeys(jwts) };
}

/** A bundle of X.509 authorities alone. */
export const x509Bundle = (x509Authorities: readonly Certificate[]): Bundle => ({
  jwtAuthorities: new PublicKeys([]),
  x509Authorities,
  sequence: undefined,
  refreshHintSeconds: undefined,
  passedOver: [],
});
