// A viewer of stacks and volumes over DICOMweb. `window.show(scenario)` shows one and tells all.
import * as core from '@cornerstonejs/core';
import { init as initLoader } from '@cornerstonejs/dicom-image-loader';
import { listImages } from './images.js';
import { Record } from './record.js';
import { chooseRetrieval } from './retrieval.js';
import { sharpen } from './sharpen.js';
import { count, watchFetch } from './wire.js';

const { Events, ImageQualityStatus, OrientationAxis, ViewportType } = core.Enums;
const VIEWPORT = 'view';

window.sharpen = sharpen;

window.show = async (scenario) => {
  watchFetch(async (url, headers) => window.aboutToSend?.(url, headers.Range ?? ''));
  core.init();
  initLoader({
    maxWebWorkers: 2,
    beforeProcessing: async (xhr) => {
      count(xhr.responseURL, xhr.response.byteLength);
      return xhr.response;
    },
  });
  const imageIds = await listImages(scenario);
  chooseRetrieval(scenario);
  const record = new Record(imageIds);
  const engine = new core.RenderingEngine('engine');
  const show = scenario.kind === 'stack' ? showStack : showVolume;
  await show(engine, imageIds, record);
  return {
    ...(await record.finished()),
    imageIds,
    metadata: imageIds.slice(0, 1).map(described),
    rendering: core.getShouldUseCPURendering() ? 'CPU' : 'GPU',
  };
};

async function showStack(engine, imageIds, record) {
  const element = document.getElementById(VIEWPORT);
  engine.enableElement({ viewportId: VIEWPORT, type: ViewportType.STACK, element });
  const viewport = engine.getViewport(VIEWPORT);
  record.listenTo(viewport);
  for (const [index, imageId] of imageIds.entries()) {
    const rendered = next(element, Events.IMAGE_RENDERED, () => isWhole(record, index));
    await (index ? viewport.setImageIdIndex(index) : viewport.setStack(imageIds, 0));
    await until(() => isWhole(record, index) || record.errors.length);
    if (record.errors.length) return;
    viewport.render();
    await rendered;
    if (viewport.getCurrentImageId() !== imageId) throw new Error('another image is shown');
  }
}

async function showVolume(engine, imageIds, record) {
  const element = document.getElementById(VIEWPORT);
  engine.enableElement({
    viewportId: VIEWPORT,
    type: ViewportType.ORTHOGRAPHIC,
    element,
    defaultOptions: { orientation: OrientationAxis.CORONAL },
  });
  const volumeId = 'cornerstoneStreamingImageVolume:series';
  const volume = await core.volumeLoader.createAndCacheVolume(volumeId, { imageIds });
  record.listenTo(volume);
  const viewport = engine.getViewport(VIEWPORT);
  await viewport.setVolumes([{ volumeId }]);
  viewport.setProperties({ voiRange: { lower: -1000, upper: 500 } });
  volume.load();
  await until(() => record.errors.length || imageIds.every((_, index) => isWhole(record, index)));
  const rendered = next(element, Events.IMAGE_RENDERED, () => true);
  viewport.render();
  await rendered;
}

function isWhole(record, index) {
  return record.pictures.some(
    (picture) =>
      picture.index === index && picture.status === ImageQualityStatus.FULL_RESOLUTION,
  );
}

function next(element, event, condition) {
  return new Promise((resolve) => {
    const seen = () => {
      if (!condition()) return;
      element.removeEventListener(event, seen);
      resolve();
    };
    element.addEventListener(event, seen);
  });
}

async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** What the viewer made of an image's metadata. */
function described(imageId) {
  const modules = ['imagePlaneModule', 'imagePixelModule', 'generalSeriesModule'];
  return Object.fromEntries(
    modules.map((name) => [name, core.metaData.get(name, imageId) ?? null]),
  );
}
