package org.tfhmr.app;

import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.tfhmr.core.Card;
import org.tfhmr.core.CropEstimator;
import org.tfhmr.core.Detector;
import org.tfhmr.core.Estimator;
import org.tfhmr.core.Finder;
import org.tfhmr.core.Gate;
import org.tfhmr.core.Image;
import org.tfhmr.core.LandmarkEstimator;
import org.tfhmr.core.LandmarkNetwork;
import org.tfhmr.core.Landmarks;
import org.tfhmr.core.Mesh;
import org.tfhmr.core.ModelFiles;
import org.tfhmr.core.Session;

/** All networks of the app, and which of them runs where. One thread makes and uses it. */
final class Networks implements Session.Networks, Closeable {
    private static final int THREADS = 4;

    final Mesh mesh;
    private final Card card;
    private final Finder finder;
    private final ModelAssets assets;
    private final ModelFiles files;
    private final Gate gate;
    private final LiteRtNetwork model;
    private final Estimator cpu;
    private final GpuMaker gpu = new GpuMaker();
    private final List<LiteRtNetwork> open = new ArrayList<LiteRtNetwork>();
    private Estimator chosen;

    /**
     * Loads the networks on the CPU.
     *
     * @throws IOException a network is not in the app
     * @throws IllegalArgumentException the files of the model do not fit each other
     */
    Networks(ModelAssets assets, Gate.Mark mark) throws IOException {
        this.assets = assets;
        gate = new Gate(mark);
        files = assets.model();
        card = files.card;
        mesh = files.mesh;
        LandmarkNetwork landmarks = new LandmarkNetwork(onCpu(ModelAssets.LANDMARKS));
        finder = new Finder(
                Detector.ofPeople(onCpu(ModelAssets.PEOPLE)),
                Detector.ofFaces(onCpu(ModelAssets.FACES)),
                landmarks);
        model = opened(new LiteRtNetwork(files.network, false, THREADS));
        cpu = card.readsLandmarks() ? new LandmarkEstimator(landmarks, model, card)
                : new CropEstimator(model, card);
    }

    private LiteRtNetwork onCpu(String name) throws IOException {
        return opened(new LiteRtNetwork(assets.mapped(name), false, THREADS));
    }

    private LiteRtNetwork opened(LiteRtNetwork network) {
        open.add(network);
        return network;
    }

    @Override
    public Card card() {
        return card;
    }

    @Override
    public List<Landmarks> find(Image image) {
        return finder.find(image);
    }

    @Override
    public Estimator estimator(Image frame, double[] square) {
        if (chosen == null) {
            chosen = gate.choose(cpu, gpu, frame, square);
        }
        return chosen;
    }

    @Override
    public void askAgain() {
        gate.askAgain();
        gpu.release();
        chosen = null;
    }

    @Override
    public boolean leaveGpu(RuntimeException error) {
        if (!gate.leave(error)) {
            return false;
        }
        gpu.release();
        chosen = cpu;
        return true;
    }

    @Override
    public String says() {
        return gate.says();
    }

    @Override
    public void close() {
        gpu.release();
        for (LiteRtNetwork network : open) {
            network.close();
        }
        open.clear();
    }

    /** What costs most on the GPU: the model, or BlazePose where the model is the lifter. */
    private final class GpuMaker implements Gate.Maker {
        private LiteRtNetwork network;

        @Override
        public Estimator make() throws IOException {
            if (card.readsLandmarks()) {
                network = new LiteRtNetwork(assets.mapped(ModelAssets.LANDMARKS), true, THREADS);
                return new LandmarkEstimator(new LandmarkNetwork(network), model, card);
            }
            network = new LiteRtNetwork(files.network, true, THREADS);
            return new CropEstimator(network, card);
        }

        @Override
        public void release() {
            if (network != null) {
                network.close();
                network = null;
            }
        }
    }
}
