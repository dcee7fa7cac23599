// How images are asked for: the ways of Cornerstone3D, by the names that the tests give them.
import { Enums, ProgressiveRetrieveImages, utilities } from '@cornerstonejs/core';

/**
 * Choose the way for a stack or a volume.
 *
 * `xhr` is one request a frame, which is what Cornerstone does when it is told nothing;
 * `stream` decodes while bytes come; `range` asks for a beginning, then for the rest; `fsiz`
 * for a smaller image, then for the whole one; `code` is what the README has users write.
 * `chunkSize` undefined leaves Cornerstone its own.
 */
export function chooseRetrieval({ kind, mode, chunkSize, code }) {
  const { imageRetrieveMetadataProvider: provider } = utilities;
  provider.clear();
  if (mode === 'xhr') return;
  if (mode === 'code') {
    new Function('utilities', code)(utilities);
    return;
  }
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
  const stages = [
    { id: 'small', retrieveType: 'small' },
    { id: 'whole', retrieveType: 'whole' },
  ];
  if (mode === 'fsiz') {
    const imageQualityStatus = Enums.ImageQualityStatus.SUBRESOLUTION;
    return {
      stages,
      retrieveOptions: {
        small: { urlArguments: 'fsiz=100,100', decodeLevel: 0, imageQualityStatus },
        whole: {},
      },
    };
  }
  return {
    stages,
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
