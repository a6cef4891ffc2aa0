import { Client } from '@opensearch-project/opensearch';

export const connectOpenSearch = (node: string): Client => new Client({ node });
