/** What a browser does for somebody who signs in: keeps the cookies of each origin, follows no redirect by itself, and says where a request is from. */
export class CookieBrowser {
  readonly #jars = new Map<string, Map<string, string>>();
  readonly #home: string;

  /** @param home the origin of the broker. */
  constructor(home: string) {
    this.#home = home;
  }

  /** What it holds for the broker. */
  get cookies(): Map<string, string> {
    return this.#jar(this.#home);
  }

  /** What it sends with what the page of the broker asks for because its person does something. */
  headers(): Readonly<Record<string, string>> {
    return { Cookie: cookieHeader(this.cookies), 'Sec-Fetch-Site': 'same-origin', 'X-Mayfly-Request': 'dashboard' };
  }

  /** Asks; takes the cookies of the answer. */
  async ask(url: string, init: RequestInit = {}): Promise<Response> {
    const target = new URL(url, this.#home);
    const jar = this.#jar(target.origin);
    const headers = { ...(jar.size === 0 ? {} : { Cookie: cookieHeader(jar) }), ...(init.headers as Record<string, string> | undefined) };
    const response = await fetch(target, { redirect: 'manual', ...init, headers });
    for (const line of response.headers.getSetCookie()) keep(jar, line);
    return response;
  }

  /** As the page of the broker asks for something that its person does. */
  async act(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.ask(path, {
      method,
      headers: { ...this.headers(), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Where the broker sends it to sign in. */
  async beginSignIn(query = ''): Promise<URL> {
    return redirectOf(await this.ask(`/auth/sign-in${query}`));
  }

  /** Goes where it is sent, from place to place, until it is sent back to the broker; answers where to, without going there. */
  async followToBroker(from: URL): Promise<URL> {
    let at = from;
    while (at.origin !== this.#home) at = new URL(await redirectOf(await this.ask(at.href), at));
    return at;
  }

  /** Goes to the issuer of the development stack, says who it is, and stops before it brings the answer back: gives where to. */
  async goToIssuer(person: string, query = ''): Promise<URL> {
    const at = await this.beginSignIn(query);
    at.searchParams.set('person', person);
    return this.followToBroker(at);
  }

  /** Signs in as one of the people of the development stack. */
  async signIn(person: string, query = ''): Promise<Response> {
    return this.ask((await this.goToIssuer(person, query)).href);
  }

  #jar(origin: string): Map<string, string> {
    const jar = this.#jars.get(origin) ?? new Map<string, string>();
    this.#jars.set(origin, jar);
    return jar;
  }
}

async function redirectOf(response: Response, base?: URL): Promise<URL> {
  const location = response.headers.get('location');
  if (location === null) throw new Error(`${response.url} answered ${response.status} and no redirect: ${(await response.text()).slice(0, 500)}`);
  return new URL(location, base);
}

const cookieHeader = (jar: ReadonlyMap<string, string>): string => [...jar].map(([name, value]) => `${name}=${value}`).join('; ');

function keep(jar: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split('; ');
  const name = pair.slice(0, pair.indexOf('='));
  const value = pair.slice(name.length + 1);
  if (value === '' || attributes.some((one) => /^expires=Thu, 01 Jan 1970/i.test(one))) jar.delete(name);
  else jar.set(name, value);
}
