import { Router } from 'express';
import { openApiDocument, type OpenApiDocument } from '../openapi/openapi-document.ts';
import { OPERATION_AREAS } from '../openapi/operations.ts';
import { REFERENCE_CSP, referencePage } from '../openapi/reference-page.ts';

/** `/openapi.json` and `/docs`: the interface, from the schemas that it parses and answers with. */
export function referenceRoutes(version: string): Router {
  const router = Router();
  let document: OpenApiDocument | undefined;
  let page: string | undefined;
  const described = (): OpenApiDocument => (document ??= openApiDocument(OPERATION_AREAS, version));

  router.get('/openapi.json', (_request, response) => {
    response.json(described());
  });

  router.get('/docs', (_request, response) => {
    page ??= referencePage(described());
    response.set({ 'Content-Security-Policy': REFERENCE_CSP, 'Referrer-Policy': 'no-referrer' }).type('html').send(page);
  });

  return router;
}
