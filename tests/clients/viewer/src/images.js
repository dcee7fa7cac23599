// The images of a series, as a viewer finds them: by its metadata, in the order of its slices.
import { wadors } from '@cornerstonejs/dicom-image-loader';

const value = (dataset, tag) => dataset[tag]?.Value?.[0];

/** Image identifiers of the first `count` frames of a series; the loader knows their metadata. */
export async function listImages({ root, study, series, count }) {
  const base = `${root}/studies/${study}/series/${series}`;
  const response = await fetch(`${base}/metadata`, {
    headers: { Accept: 'application/dicom+json' },
  });
  if (!response.ok) throw new Error(`metadata: status ${response.status}`);
  const datasets = await response.json();
  datasets.sort((a, b) => value(a, '00200013') - value(b, '00200013'));
  const found = datasets.flatMap((dataset) => {
    const frames = Number(value(dataset, '00280008') ?? 1);
    return Array.from({ length: frames }, (_, index) => {
      const instance = `${base}/instances/${value(dataset, '00080018')}`;
      const imageId = `wadors:${instance}/frames/${index + 1}`;
      wadors.metaDataManager.add(imageId, dataset);
      return imageId;
    });
  });
  return found.slice(0, count);
}
