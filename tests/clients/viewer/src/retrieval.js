// How images are asked for: the ways of Cornerstone3D, by the names that the tests give them.
import { ProgressiveRetrieveImages, utilities } from '@cornerstonejs/core';

/**
 * Choose the way for a stack or a volume.
 *
 * `xhr` is one request a frame, which is what Cornerstone does when it is told nothing;
 * `stream` decodes while bytes come; `range` asks for a beginning, then for the rest.
 * `chunkSize` undefined leaves Cornerstone its own.
 */
export function chooseRetrieval(kind, mode, chunkSize) {
  const { imageRetrieveMetadataProvider: provider } = utilities;
  provider.clear();
  if (mode === 'xhr') return;
  const sizes = chunkSize === undefined ? {} : { initialChunkSize: chunkSize, chunkSize };
  provider.add(kind, kind === 'stack' ? ofStack(mode, sizes) : ofVolume(sizes));
}

function ofStack(mode, sizes) {
  if (mode === 'stream') {
    return {
      stages: [{ id: 'streamed', retrieveType: 'streamed' }],
      retrieveOptions: { streamed: { streaming: true, ...sizes } },
    };
  }
  return {
    stages: [
      { id: 'small', retrieveType: 'small' },
      { id: 'whole', retrieveType: 'whole' },
    ],
    retrieveOptions: {
      small: { rangeIndex: 0, ...sizes },
      whole: { rangeIndex: -1, ...sizes },
    },
  };
}

function ofVolume(sizes) {
  return {
    ...ProgressiveRetrieveImages.interleavedRetrieveStages,
    retrieveOptions: {
      default: { rangeIndex: 0, ...sizes },
      multipleFast: { rangeIndex: 0, ...sizes },
      multipleFinal: { rangeIndex: -1, ...sizes },
    },
  };
}
